/**
 * RFC 3501 5.1.3 modified UTF-7, the names of mailboxes on the wire: printable US-ASCII stands for itself, `&` is `&-`,
 * all else is UTF-16 in base64 with `,` for `/`, between `&` and `-`.
 */

/** Encodes a name; lone surrogates become U+FFFD, so that the result can be decoded. */
export function encodeUtf7(name: string): string {
  return name
    .toWellFormed()
    .replace(/&|[^\x20-\x7e]+/g, (run) => (run === '&' ? '&-' : `&${toBase64(run)}-`));
}

function toBase64(run: string): string {
  const utf16 = Buffer.from(run, 'utf16le').swap16();
  return utf16.toString('base64').replaceAll('=', '').replaceAll('/', ',');
}

/**
 * Decodes a name; undefined where it is not modified UTF-7: 8-bit or control characters, a shift that does not end,
 * base64 that is not whole UTF-16 or has bits left over, or that hides a printable character (then one name would have
 * two spellings).
 */
export function decodeUtf7(text: string): string | undefined {
  if (/[^\x20-\x7e]/.test(text)) return undefined;
  let name = '';
  for (let at = 0; at < text.length;) {
    const shift = text.indexOf('&', at);
    if (shift < 0) return name + text.slice(at);
    const end = text.indexOf('-', shift);
    if (end < 0) return undefined;
    const run = end === shift + 1 ? '&' : fromBase64(text.slice(shift + 1, end));
    if (run === undefined) return undefined;
    name += text.slice(at, shift) + run;
    at = end + 1;
  }
  return name;
}

function fromBase64(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+,]+$/.test(base64)) return undefined;
  const utf16 = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  if (utf16.length === 0 || utf16.length % 2 !== 0) return undefined;
  const run = utf16.swap16().toString('utf16le');
  if (!run.isWellFormed() || /[\x20-\x7e]/.test(run) || toBase64(run) !== base64) return undefined;
  return run;
}
