import { parseHeader } from '../../message/header.ts';
import type { Body, Message } from '../../store/contract.ts';
import type { Context, Reply } from '../context.ts';
import { bad, no, ok, selectedOf } from '../context.ts';
import { needsOf, prepareItem } from '../fetch-items.ts';
import type { MessageParts, PreparedItem } from '../fetch-items.ts';
import { prepareParts } from '../fetch-parts.ts';
import { createTurns, headerPages, reserve, rowPages, slices } from '../reads.ts';
import type { Reading } from '../reads.ts';
import type { FetchItem, MessageCommand } from '../wire/command.ts';
import { fetchEnd, fetchStart, sectionStart } from '../wire/response.ts';

type Fetch = Extract<MessageCommand, { name: 'FETCH' }>;

/** RFC 9051 6.4.5, RFC 7162 3.1.4. Each answer is written as soon as it is read; bodies never stand in memory whole. */
export async function fetch(command: Fetch, context: Context): Promise<Reply> {
  const selected = selectedOf(context);
  const { uids, exceeds } = selected.resolve(command.set, command.uid);
  // Clients ask an empty mailbox for 1:* and mean nothing bad.
  if (exceeds && selected.uids.length > 0) return bad('No such message number');
  const items = itemsOf(command);
  if (items.some(({ kind }) => kind === 'MODSEQ')) context.condstore = true;
  const marksSeen = !selected.readOnly && items.some((item) => item.kind === 'SECTION' && !item.peek);
  const needs = needsOf(items);
  const reading: Reading = {
    messages: context.parts.store.messages,
    mailbox: selected.mailbox,
    byteBudget: context.parts.byteBudget,
  };

  let answered = 0;
  const turns = createTurns();
  for await (const all of rowPages(reading, uids)) {
    const since = command.changedSince;
    const rows = since === undefined ? all : all.filter((row) => row.modseq > since);
    answered += all.length - rows.length;
    const seen = marksSeen ? await markSeen(rows, reading, context) : new Map<number, Message>();
    const pages = needs === 'header' ? headerPages(reading, rows) : [{ rows, headers: NO_HEADERS }];
    for await (const { rows: some, headers } of pages) {
      for (const row of some) {
        const changed = seen.get(row.uid);
        const wanted = changed ? withFlags(items) : items;
        const header = headers.get(row.uid);
        if (await answer(changed ?? row, wanted, header, reading, context)) answered += 1;
        await turns.after(header?.length ?? 0);
      }
      context.connection.out.flush();
    }
  }
  // RFC 2180 4.1.2: a message number may belong to a message that is gone and of which we could not tell yet. UIDs
  // that do not exist are no error (RFC 9051 6.4.9).
  if (answered < uids.length && !command.uid) return no('Some messages are gone', 'EXPUNGEISSUED');
  return ok('FETCH completed');
}

const NO_HEADERS: ReadonlyMap<number, Buffer> = new Map();

/** What is answered beside what was asked for. */
function itemsOf({ uid, items, changedSince }: Fetch): readonly FetchItem[] {
  const all = [...items];
  // RFC 9051 6.4.9.
  if (uid && !all.some(({ kind }) => kind === 'UID')) all.unshift({ kind: 'UID' });
  // RFC 7162 3.1.4.1.
  if (changedSince !== undefined && !all.some(({ kind }) => kind === 'MODSEQ')) all.push({ kind: 'MODSEQ' });
  return all;
}

function withFlags(items: readonly FetchItem[]): readonly FetchItem[] {
  return items.some(({ kind }) => kind === 'FLAGS') ? items : [...items, { kind: 'FLAGS' }];
}

/** RFC 9051 6.4.5: reading without PEEK marks \Seen. The messages that this changed, as they are now. */
async function markSeen(
  rows: readonly Message[],
  { messages, mailbox }: Reading,
  context: Context,
): Promise<ReadonlyMap<number, Message>> {
  const unseen = rows.filter(({ flags }) => !flags.includes('\\Seen')).map(({ uid }) => uid);
  if (unseen.length === 0) return new Map();
  const { changed } = await messages.storeFlags(
    mailbox,
    unseen,
    { action: 'add', flags: ['\\Seen'] },
    context.id,
  );
  return new Map(changed.map((message) => [message.uid, message]));
}

/** Writes one FETCH; false where the message went before anything was written. */
async function answer(
  row: Message,
  items: readonly FetchItem[],
  header: Buffer | undefined,
  reading: Reading,
  context: Context,
): Promise<boolean> {
  const number = selectedOf(context).numberOf(row.uid);
  const needs = needsOf(items);
  if (number === 0 || (needs === 'header' && !header)) return false;
  if (needs === 'row' || needs === 'header') {
    const known = header ? { header, fields: parseHeader(header) } : {};
    await write(
      number,
      items.map((item) => prepareItem(item, row, known)),
      undefined,
      context,
    );
    return true;
  }
  await using body = await reading.messages.body(reading.mailbox, row.uid);
  if (!body) return false;
  await write(number, await prepared(needs, row, items, body, reading, context), body, context);
  return true;
}

async function prepared(
  needs: 'body' | 'body+header' | 'parts',
  row: Message,
  items: readonly FetchItem[],
  body: Body,
  { byteBudget }: Reading,
  { parts: { pool } }: Context,
): Promise<readonly PreparedItem[]> {
  if (needs === 'parts') {
    using _ = reserve(byteBudget, body.size);
    return await prepareParts({ message: await body.read(0, body.size), row, items }, pool);
  }
  let known: MessageParts = {};
  if (needs === 'body+header') {
    const header = await body.read(0, row.headerSize);
    known = { header, fields: parseHeader(header) };
  }
  return items.map((item) => prepareItem(item, row, known));
}

async function write(
  number: number,
  items: readonly PreparedItem[],
  body: Body | undefined,
  context: Context,
): Promise<void> {
  const { out } = context.connection;
  // From here on a failure cuts the connection: the client has half an answer.
  context.partial = true;
  out.write(fetchStart(number));
  for (const [at, item] of items.entries()) {
    if (at > 0) out.write(' ');
    if (item.kind === 'piece') {
      if (typeof item.piece === 'string') out.write(item.piece);
      else await out.send(item.piece);
    } else if (body) {
      const { start, end } = item.range;
      out.write(sectionStart(item.label, end - start, item.origin));
      for await (const slice of slices(body, start, end, context.parts.byteBudget)) await out.send(slice);
    }
  }
  out.write(fetchEnd);
  context.partial = false;
  await out.pace();
}
