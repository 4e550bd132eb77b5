import { createRequire } from 'node:module';
import type { Transform } from 'node:stream';

/** One line of a server as imapflow's own parser reads it: an independent reader of what we write. */
export interface ReadLine {
  readonly tag: string;
  readonly command: string;
  readonly attributes: readonly ReadValue[];
}

/** NIL is null; strings one latin1 character for each byte; a code or section is `{ name, section, partial }`. */
export type ReadValue = null | string | readonly ReadValue[] | ReadSection;

export interface ReadSection {
  readonly name: string;
  readonly section: readonly ReadValue[];
  readonly partial?: readonly number[];
}

interface Node {
  readonly type: string;
  readonly value: string | Buffer | null;
  readonly section?: readonly Given[];
  readonly partial?: readonly number[];
}
type Given = null | Node | readonly Given[];

interface Parsed {
  readonly tag: string;
  readonly command: string;
  readonly attributes?: readonly Given[];
}

// imapflow has no types for its inner modules.
const require = createRequire(import.meta.url);
const { ImapStream } = require('imapflow/lib/handler/imap-stream.js') as {
  ImapStream: new (options: object) => Transform;
};
const parse = require('imapflow/lib/handler/imap-parser.js') as (
  payload: Buffer,
  options: { literals: readonly Buffer[] },
) => Promise<Parsed>;

const quiet = () => undefined;
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

/** Reads all lines of `bytes`; rejects where imapflow would. */
export async function readResponses(bytes: Buffer): Promise<ReadLine[]> {
  const stream = new ImapStream({ logger, logRaw: false });
  stream.end(bytes);
  const lines: ReadLine[] = [];
  for await (const item of stream) {
    const { payload, literals, next } = item as { payload: Buffer; literals: Buffer[]; next?: () => void };
    const { tag, command, attributes = [] } = await parse(payload, { literals });
    lines.push({ tag, command, attributes: attributes.map(simple) });
    next?.();
  }
  return lines;
}

/** Reads one value, such as an ENVELOPE. */
export async function readValue(bytes: Buffer): Promise<ReadValue> {
  const [line] = await readResponses(Buffer.concat([Buffer.from('* X '), bytes, Buffer.from('\r\n')]));
  return line?.attributes[0] ?? null;
}

function simple(given: Given): ReadValue {
  if (given === null) return null;
  if ('length' in given) return given.map(simple);
  const value = Buffer.isBuffer(given.value) ? given.value.toString('latin1') : given.value;
  if (!given.section) return value;
  const section = given.section.map(simple);
  return { name: value ?? '', section, ...(given.partial && { partial: given.partial }) };
}
