/** Says who made a page; prettier leaves it alone. */
export function madeFrom(source: string): string {
  return `<!-- Made by \`npm run docs\` from ${source}: edit that instead. -->`;
}

export function code(text: string): string {
  return `\`${text}\``;
}

/** A table with its columns filled up by spaces, as prettier writes it. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`;
  const [first = [], ...rest] = cells;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n');
}

/** Parts of a page, an empty line between them, a line end behind the last. */
export function page(...parts: readonly string[]): string {
  return `${parts.join('\n\n')}\n`;
}
