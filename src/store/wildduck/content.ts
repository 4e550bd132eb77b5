import { randomInt } from 'node:crypto';
import type { Body } from '../contract.ts';
import type { Core } from './core.ts';
import type { PlanDocument } from './documents.ts';
import type { Content } from './wildduck.ts';

/** A header block longer than this is in the rest: a document has room for 16 MB. */
const MAX_HEAD = 256 * 1024;
/** What comes after the header is in the document up to this; more goes to a file that deliveries share. */
export const MAX_INLINE = 128 * 1024;

/** Cuts a message as it is kept, its long part written to a file for `count` messages. The bytes are not copied. */
export async function contentOf(
  { files }: Pick<Core, 'files'>,
  message: Buffer,
  headerSize: number,
  count: number,
): Promise<Content> {
  const cut = headerSize <= MAX_HEAD ? headerSize : 0;
  const rest = message.subarray(cut);
  // WildDuck adds it up over the messages of a file, so that a wrong count shows. Nobody need not guess it.
  const magic = randomInt(1, 0x10000);
  const common = { size: message.length, headerSize, magic };
  const head = cut > 0 || headerSize === 0 ? { head: message.subarray(0, cut) } : {};
  if (rest.length <= MAX_INLINE) return { ...common, ...head, rest };
  return { ...common, ...head, file: await files.write(rest, { count, magic }) };
}

/** The bytes of a message that is kept so, for reading; undefined where its file is gone. */
export async function openContent(
  { files }: Pick<Core, 'files'>,
  { size, headerSize, head = Buffer.alloc(0), rest = Buffer.alloc(0), file }: Omit<Content, 'magic'>,
): Promise<Body | undefined> {
  if (!file) {
    const bytes = Buffer.concat([head, rest]);
    return {
      size,
      headerSize,
      read: async (start, end) => bytes.subarray(start, end),
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const opened = await files.open(file);
  if (!opened) return undefined;
  return {
    size,
    headerSize,
    read: async (start, end) => {
      const first = head.subarray(start, end);
      const [from, to] = [Math.max(start - head.length, 0), Math.max(end - head.length, 0)];
      const more = await opened.read(from, to);
      return first.length === 0 ? more : Buffer.concat([first, more]);
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** What a plan, or a message in the queue, has of it. */
export function contentOfPlan({ size, headerSize, magic, head, message, file }: PlanDocument): Content {
  return {
    size,
    headerSize,
    magic,
    ...(head ? { head: head.buffer } : {}),
    ...(message ? { rest: message.buffer } : {}),
    ...(file ? { file } : {}),
  };
}
