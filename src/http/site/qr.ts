import { crc32, deflateSync } from 'node:zlib';
import { encode } from 'uqr';

/** Modules around the code; scanners want four (ISO/IEC 18004 9.1). */
const BORDER = 4;
/** Pixels of the picture's side at least, as upstream's. */
const PNG_SIDE = 384;

/** A link with a password and servers in it; its code has enough modules as it is. */
const LONG = 80;

/** Rows of modules, true where dark. Of a short code a quarter may be lost to dirt or a crease. */
function modules(text: string): boolean[][] {
  return encode(text, { ecc: text.length > LONG ? 'L' : 'Q', border: BORDER }).data;
}

/** Remembers what `make` gave for the last text: a code takes 2 ms, and every visitor is shown the same. */
export function lastOf<Result>(make: (text: string) => Result): (text: string) => Result {
  let last: { readonly text: string; readonly result: Result } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, result: make(text) };
    return last.result;
  };
}

/** The code as one SVG path on white: dark on light whatever the page around it is. `label` is for those who hear it. */
export function qrSvg(text: string, label: string): string {
  const rows = modules(text);
  const path = rows.map((row, y) =>
    runs(row)
      .map(([x, width]) => `M${x} ${y}h${width}v1h-${width}z`)
      .join(''),
  );
  const size = rows.length;
  return (
    `<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label="${label}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${size}v${size}h-${size}z"/><path fill="#000" d="${path.join('')}"/></svg>`
  );
}

/** Start and length of each run of dark modules. */
function runs(row: readonly boolean[]): [number, number][] {
  const found: [number, number][] = [];
  for (let x = 0; x < row.length; x += 1) {
    if (!row[x]) continue;
    const last = found.at(-1);
    if (last && last[0] + last[1] === x) last[1] += 1;
    else found.push([x, 1]);
  }
  return found;
}

/** The code as a PNG of one bit a pixel (ISO/IEC 15948), for printing and for places that take no SVG. */
export function qrPng(text: string): Buffer {
  const rows = modules(text);
  const scale = Math.ceil(PNG_SIDE / rows.length);
  const side = rows.length * scale;
  const lines = rows.flatMap((row) => {
    // The byte in front of each line says: no filter.
    const line = Buffer.alloc(1 + Math.ceil(side / 8));
    for (let x = 0; x < side; x += 1) {
      // Greyscale: 1 is white.
      if (!row[Math.floor(x / scale)]) line[1 + (x >> 3)] = (line[1 + (x >> 3)] ?? 0) | (0x80 >> (x & 7));
    }
    return Array.from({ length: scale }, () => line);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 1;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(lines))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
