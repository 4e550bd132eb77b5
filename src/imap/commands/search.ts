import { parseHeader } from '../../message/header.ts';
import type { Message } from '../../store/contract.ts';
import type { Context, Reply } from '../context.ts';
import { bad, no, ok, selectedOf } from '../context.ts';
import { createTurns, headerPages, rowPages, slices } from '../reads.ts';
import type { Reading, Turns } from '../reads.ts';
import type { Search, SearchFacts } from '../search.ts';
import { compileSearch } from '../search.ts';
import type { Selected } from '../selected.ts';
import type { MessageCommand, SearchKey } from '../wire/command.ts';
import { codes, untagged } from '../wire/response.ts';

type SearchCommand = Extract<MessageCommand, { name: 'SEARCH' }>;

const CHARSETS = ['US-ASCII', 'UTF-8'];

/** RFC 9051 6.4.4, RFC 7162 3.1.5. Headers and texts are read only of messages that the cheap keys leave open. */
export async function search(command: SearchCommand, context: Context): Promise<Reply> {
  const { charset, returns, key, uid } = command;
  if (charset !== undefined && !CHARSETS.includes(charset)) {
    return no('Unknown charset', codes.badCharset(CHARSETS));
  }
  // RFC 4731 is not offered; an ESEARCH would end Delta Chat's session (client.md 2.6, 3).
  if (returns) return bad('RETURN is not offered');
  const selected = selectedOf(context);
  const withModseq = asksForModseq(key);
  if (withModseq) context.condstore = true;
  const compiled = compileSearch(key, selected.uids);
  const reading: Reading = {
    messages: context.parts.store.messages,
    mailbox: selected.mailbox,
    byteBudget: context.parts.byteBudget,
  };

  const found: number[] = [];
  const turns = createTurns();
  let highestModseq = 0;
  for await (const rows of rowPages(reading, selected.uids)) {
    for (const row of await fitting(rows, compiled, selected, reading, turns)) {
      found.push(uid ? row.uid : selected.numberOf(row.uid));
      highestModseq = Math.max(highestModseq, row.modseq);
    }
  }
  await context.connection.out.send(untagged.search(found, withModseq ? highestModseq : undefined));
  return ok('SEARCH completed');
}

function asksForModseq(key: SearchKey): boolean {
  switch (key.kind) {
    case 'modseq':
      return true;
    case 'and':
    case 'or':
      return key.keys.some(asksForModseq);
    case 'not':
      return asksForModseq(key.key);
    default:
      return false;
  }
}

/** What a key costs for one message, in bytes gone over: flags with as many keywords as there may be. */
const KEY_COST = 64;
/** Bytes that a scan goes over at once, all its keys together. */
const SCAN_AT_ONCE = 32 * 1024;

/** The messages of a page that fit, ascending. */
async function fitting(
  rows: readonly Message[],
  compiled: Search,
  selected: Selected,
  reading: Reading,
  turns: Turns,
): Promise<readonly Message[]> {
  const keysCost = compiled.keys.all * KEY_COST;
  const fits = new Set<Message>();
  const open: Message[] = [];
  for (const row of rows) {
    const answer = compiled.test(factsOf(row, selected));
    if (answer) fits.add(row);
    else if (answer === undefined) open.push(row);
    await turns.after(keysCost);
  }
  // One page without headers where no key asks for them.
  const pages = compiled.needs.header
    ? headerPages(reading, open)
    : [{ rows: open, headers: new Map<number, Buffer>() }];
  for await (const page of pages) {
    for (const row of page.rows) {
      const block = page.headers.get(row.uid);
      if (compiled.needs.header && !block) continue;
      const facts: SearchFacts = { ...factsOf(row, selected), ...(block && { header: parseHeader(block) }) };
      if (compiled.test(facts) ?? (await scan(row, facts, compiled, reading, turns))) fits.add(row);
      await turns.after(keysCost + compiled.keys.header * (block?.length ?? 0));
    }
  }
  return rows.filter((row) => fits.has(row));
}

function factsOf(row: Message, selected: Selected): SearchFacts {
  const { uid, modseq, flags, internalDate, size } = row;
  return { number: selected.numberOf(uid), uid, modseq, flags, internalDate, size };
}

/** Reads the text, as far as it has to. */
async function scan(
  row: Message,
  facts: SearchFacts,
  compiled: Search,
  { messages, mailbox, byteBudget }: Reading,
  turns: Turns,
): Promise<boolean> {
  await using body = await messages.body(mailbox, row.uid);
  if (!body) return false;
  const text = compiled.scan(row.headerSize);
  const { text: keys } = compiled.keys;
  const step = Math.ceil(SCAN_AT_ONCE / keys);
  let done = false;
  for await (const slice of slices(body, 0, body.size, byteBudget)) {
    for (let at = 0; at < slice.length && !done; at += step) {
      const piece = slice.subarray(at, at + step);
      done = text.feed(piece);
      await turns.after(piece.length * keys);
    }
    if (done) break;
  }
  return compiled.test({ ...facts, found: text.result() }) ?? false;
}
