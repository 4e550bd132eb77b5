import { renderUnicodeCompact } from 'uqr';

/** A QR code for a terminal: white on black whatever its own colours are, with a margin; scanners want dark on light. */
export function terminalQr(text: string): string {
  const lines = renderUnicodeCompact(text, { border: 2 }).split('\n');
  return lines.map((line) => `     \x1b[97;40m${line}\x1b[0m`).join('\n');
}
