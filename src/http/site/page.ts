import { escapeHtml, renderMarkdown } from './template.ts';
import type { Values } from './template.ts';

/** Pages with a code beside their words. */
const wide: ReadonlySet<string> = new Set(['index', 'invite']);

/** A whole HTML page from Markdown. Its first heading is its title. `name` is the file's, without `.md`. */
export function renderPage(name: string, source: string, domain: string, values: Values): string {
  const body = renderMarkdown(source, values);
  const heading = /<h1[^>]*>([^]*?)<\/h1>/
    .exec(body)?.[1]
    ?.replace(/<[^>]*>/g, '')
    .trim();
  const title =
    heading === undefined || name === 'index' ? escapeHtml(domain) : `${heading} · ${escapeHtml(domain)}`;
  const link = (page: string, href: string, text: string) =>
    `<a href="${href}"${page === name ? ' aria-current="page"' : ''}>${text}</a>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="stylesheet" href="/main.css">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
</head>
<body class="${wide.has(name) ? 'home' : 'text'}">
<header><nav aria-label="Pages">${link('index', '/', `<span class="domain">${escapeHtml(domain)}</span>`)}
${link('info', '/info.html', 'Good to know')}
${link('privacy', '/privacy.html', 'Privacy')}</nav></header>
<main>
${body}</main>
</body>
</html>
`;
}
