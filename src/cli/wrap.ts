/** Terminals have at least this many columns. */
export const TERMINAL_WIDTH = 80;

/** `text`, without its back quotes, in lines of at most `width` characters (longer words stick out). */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replaceAll('`', '').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line += (line === '' ? '' : ' ') + word;
    }
  }
  return [...lines, line];
}
