/**
 * A request target as path and query. Delta Chat up to 2.58 sends the absolute form, `POST https://host/new` (client.md
 * 1.1), which every server must take (RFC 9112 3.2.2). What is neither becomes `/`.
 */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  const rest = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1];
  if (rest === undefined || rest === '') return '/';
  return rest.startsWith('/') ? rest : `/${rest}`;
}
