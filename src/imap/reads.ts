import { setImmediate as turn } from 'node:timers/promises';
import type { ByteBudget } from '../limits/byte-budget.ts';
import type { Body, MailboxId, Message, Messages } from '../store/contract.ts';
import { MAX_UIDS_AT_ONCE } from '../store/contract.ts';

/** So many message bytes are in memory for others that this command cannot run now; the client must come again. */
export class Busy extends Error {
  override name = 'Busy';
}

/** What reads of a mailbox need. */
export interface Reading {
  readonly messages: Messages;
  readonly mailbox: MailboxId;
  readonly byteBudget: ByteBudget;
}

/** Header blocks in memory at once for one command, unless a single one is larger. */
const HEADER_PAGE = 1024 * 1024;
/** One read of a body; two are in memory at once, one being read and one on its way out. */
export const SLICE = 256 * 1024;
/** The same where memory is short: slower, but it goes on. */
const SMALL_SLICE = 16 * 1024;

/** Bytes gone over without a turn of the others: some 3 ms. */
const WORK_PER_TURN = 64 * 1024;
/** What a message costs beside its bytes. */
const MESSAGE_COST = 1024;

/** Lets other sessions have their turn, whatever a page of messages costs. */
export interface Turns {
  /** To be awaited after each message; `bytes` of it were gone over. */
  after(bytes: number): Promise<void>;
}

export function createTurns(): Turns {
  let work = 0;
  return {
    async after(bytes) {
      work += MESSAGE_COST + bytes;
      if (work < WORK_PER_TURN) return;
      work = 0;
      await turn();
    },
  };
}

/** The messages of `uids` that are still there, in pages, ascending; others get their turn in between. */
export async function* rowPages(
  { messages, mailbox }: Reading,
  uids: readonly number[],
): AsyncGenerator<readonly Message[]> {
  for (let at = 0; at < uids.length; at += MAX_UIDS_AT_ONCE) {
    if (at > 0) await turn();
    yield await messages.get(mailbox, uids.slice(at, at + MAX_UIDS_AT_ONCE));
  }
}

/** Some messages with their header blocks; a message without one went meanwhile. */
export interface HeaderPage {
  readonly rows: readonly Message[];
  readonly headers: ReadonlyMap<number, Buffer>;
}

/** `rows` (at most MAX_UIDS_AT_ONCE) with their headers, in pages of bounded bytes. Rejects with Busy. */
export async function* headerPages(reading: Reading, rows: readonly Message[]): AsyncGenerator<HeaderPage> {
  const { messages, mailbox, byteBudget } = reading;
  for (let at = 0; at < rows.length;) {
    let bytes = 0;
    let end = at;
    do {
      bytes += rows[end]?.headerSize ?? 0;
      end += 1;
    } while (end < rows.length && bytes + (rows[end]?.headerSize ?? 0) <= HEADER_PAGE);
    using _ = bytes > HEADER_PAGE ? reserve(byteBudget, bytes) : undefined;
    const page = rows.slice(at, end);
    const uids = page.map(({ uid }) => uid);
    yield { rows: page, headers: await messages.headers(mailbox, uids) };
    at = end;
  }
}

/** The bytes from `start` to `end` in pieces that fit in memory whatever the message. */
export async function* slices(
  body: Body,
  start: number,
  end: number,
  byteBudget: ByteBudget,
): AsyncGenerator<Buffer> {
  const release = end - start > SMALL_SLICE ? byteBudget.reserve(2 * SLICE) : undefined;
  const length = release ? SLICE : SMALL_SLICE;
  try {
    for (let at = start; at < end; at += length) yield await body.read(at, Math.min(at + length, end));
  } finally {
    release?.();
  }
}

/** Throws Busy. */
export function reserve(byteBudget: ByteBudget, bytes: number): Disposable {
  const release = byteBudget.reserve(bytes);
  if (!release) throw new Busy('too many message bytes in memory');
  return { [Symbol.dispose]: release };
}
