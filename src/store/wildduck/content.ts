import { randomInt } from 'node:crypto';
import type { Core } from './core.ts';
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
