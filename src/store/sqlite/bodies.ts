import type { FileHandle } from 'node:fs/promises';
import type { Body, MailboxId, QueuedId } from '../contract.ts';
import type { Access } from './access.ts';
import { readFully } from './body-files.ts';
import type { BodyFiles } from './body-files.ts';
import { asBuffer } from './database.ts';
import type { Blob } from './database.ts';
import { rowOf } from './ids.ts';
import { body } from './reads/messages.ts';
import type { BodyPlace } from './reads/messages.ts';
import { queuedBody } from './reads/queue.ts';
import type { NewBody } from './writes/bodies.ts';

/** Bodies up to this many bytes are in their row, larger ones in files: above it files are faster (runtime.md 3.5). */
export const INLINE_LIMIT = 256 * 1024;
/** The header block of a body in a file is in the row as well, up to this many bytes. */
export const HEADER_LIMIT = 64 * 1024;
/** Bodies in rows up to this size are read on the main thread: some 30 µs. */
const LOCAL_LIMIT = 32 * 1024;

/** A body ready to be posted to the writer. */
export interface Prepared {
  readonly body: NewBody;
  /** Bytes that the writer is given. */
  readonly bytes: number;
  readonly transfer: readonly ArrayBuffer[];
}

/** Makes a big message durable in its file; of a small one the writer gets a copy. */
export async function prepareBody(files: BodyFiles, message: Buffer, headerSize: number): Promise<Prepared> {
  if (message.length <= INLINE_LIMIT) {
    const bytes = ownCopy(message);
    return { body: { kind: 'inline', bytes, headerSize }, bytes: bytes.length, transfer: [bytes.buffer] };
  }
  const header = headerSize <= HEADER_LIMIT ? ownCopy(message.subarray(0, headerSize)) : undefined;
  const file = await files.write(message);
  return {
    body: { kind: 'file', file, size: message.length, headerSize, header },
    bytes: header?.length ?? 0,
    transfer: header ? [header.buffer] : [],
  };
}

/** A Buffer's memory may be part of a pool, or of the caller's stream: what is transferred must be ours alone. */
function ownCopy(bytes: Buffer): Blob {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Opens a message's bytes: those of a row are all in memory from now on, a file stays readable when it is unlinked. */
export async function openBody(
  access: Access,
  files: BodyFiles,
  mailbox: MailboxId,
  uid: number,
): Promise<Body | undefined> {
  const row = rowOf(mailbox);
  const place = await access.local((database) => body(database, row, uid, LOCAL_LIMIT));
  return openPlace(files, place, () => access.read('body', row, uid, INLINE_LIMIT));
}

/** The same for a message in the queue. */
export async function openQueuedBody(
  access: Access,
  files: BodyFiles,
  message: QueuedId,
): Promise<Body | undefined> {
  const row = rowOf(message);
  const place = await access.local((database) => queuedBody(database, row, LOCAL_LIMIT));
  return openPlace(files, place, () => access.read('queuedBody', row, INLINE_LIMIT));
}

/** `readWhole`: once more, with the bytes, where they were too many for the first look. */
async function openPlace(
  files: BodyFiles,
  place: BodyPlace | undefined,
  readWhole: () => Promise<BodyPlace | undefined>,
): Promise<Body | undefined> {
  if (!place) return undefined;
  if (place.file !== null) {
    const file = await files.open(place.file);
    return file && fileBody(place, file);
  }
  const whole = place.text ? place : await readWhole();
  return whole?.header && whole.text
    ? inlineBody(whole, Buffer.concat([whole.header, whole.text]))
    : undefined;
}

function inlineBody({ size, headerSize }: BodyPlace, bytes: Buffer): Body {
  return {
    size,
    headerSize,
    read: async (start, end) => bytes.subarray(start, end),
    [Symbol.asyncDispose]: async () => {},
  };
}

function fileBody({ size, headerSize }: BodyPlace, file: FileHandle): Body {
  return {
    size,
    headerSize,
    read: (start, end) => readFully(file, start, Math.max(Math.min(end, size) - start, 0)),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** The header blocks of these UIDs. */
export async function readHeaders(
  access: Access,
  files: BodyFiles,
  mailbox: MailboxId,
  uids: readonly number[],
): Promise<ReadonlyMap<number, Buffer>> {
  const blocks = new Map<number, Buffer>();
  for (const { uid, headerSize, header, file: name } of await access.read('headers', rowOf(mailbox), uids)) {
    if (header) {
      blocks.set(uid, asBuffer(header));
    } else if (name !== null) {
      await using file = await files.open(name);
      if (file) blocks.set(uid, await readFully(file, 0, headerSize));
    }
  }
  return blocks;
}
