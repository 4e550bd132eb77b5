import { open, realpath, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { extname, join, resolve, sep } from 'node:path';

/** Where pages come from: Markdown to be made into pages, and files that are served as they are. */
export interface PageSource {
  /** Of pages: `index` for `index.md`. Undefined where there is none, or where nothing is made from Markdown. */
  markdown(name: string): Promise<string | undefined>;
  /** A file by its path below the root, such as `logo.png`. Undefined where there is none. */
  file(path: string): Promise<SiteFile | undefined>;
  /** Whether the pages are ours, so that we know what they need of the browser. */
  readonly bundled: boolean;
}

export interface SiteFile {
  readonly type: string;
  readonly bytes: Buffer;
}

/** Pages and pictures; whoever offers films has a web server of his own. It is in memory while it is sent. */
const MAX_FILE = 8 * 1024 * 1024;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.xml': 'application/xml',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.avif': 'image/avif',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.pdf': 'application/pdf',
};

/** The pages that come with Teal. */
export function bundledPages(): PageSource {
  return sourceIn(fileURLToPath(new URL('../pages', import.meta.url)), true);
}

/**
 * `www_folder` as upstream (www.py): empty, the bundled pages; a folder that is not there, no site; with `src/index.md`
 * in it, pages made from `src`; else the folder as it is. Looked at anew for each page: it may be edited.
 */
export function pageSource(folder: string): PageSource {
  if (folder === '') return bundledPages();
  const built = sourceIn(join(folder, 'src'), false);
  const plain = sourceIn(folder, false);
  const isBuilt = async () => (await built.markdown('index')) !== undefined;
  return {
    bundled: false,
    markdown: async (name) => ((await isBuilt()) ? built.markdown(name) : undefined),
    file: async (path) => {
      const own = await ((await isBuilt()) ? built : plain).file(path);
      // A page of one's own need not bring a style of its own; nor need they who leave invitations to us.
      return own ?? (path === 'main.css' || path === 'icon.svg' ? bundledPages().file(path) : undefined);
    },
  };
}

function sourceIn(root: string, bundled: boolean): PageSource {
  const read = async (path: string) => {
    const inside = await pathInside(root, path);
    if (inside === undefined) return undefined;
    await using file = await open(inside);
    const { size } = await file.stat();
    return size > MAX_FILE ? undefined : file.readFile();
  };
  return {
    bundled,
    markdown: async (name) =>
      /^[\w-]+$/.test(name) ? (await read(`${name}.md`))?.toString('utf8') : undefined,
    file: async (path) => {
      const type = types[extname(path).toLowerCase()];
      const bytes = type === undefined ? undefined : await read(path);
      return type === undefined || bytes === undefined ? undefined : { type, bytes };
    },
  };
}

/** The file's real path, undefined where it is none, or outside of `root` (`..`, links), or hidden (`.git`). */
async function pathInside(root: string, path: string): Promise<string | undefined> {
  if (path.includes('\0') || path.split(/[/\\]/).some((part) => part.startsWith('.'))) return undefined;
  try {
    const base = await realpath(root);
    const real = await realpath(resolve(base, path));
    return real.startsWith(base + sep) && (await stat(real)).isFile() ? real : undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'].includes(String(code))) return undefined;
    throw error;
  }
}
