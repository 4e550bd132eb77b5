import type { Context, Reply } from '../context.ts';
import { accountOf, no, ok } from '../context.ts';
import { annotations, DEVICE_TOKEN, entriesOf, isToken, MAX_SET_ENTRIES, MAX_TOKEN } from '../metadata.ts';
import type { MetadataCommand } from '../wire/command.ts';
import { codes, untagged } from '../wire/response.ts';

type Get = Extract<MetadataCommand, { name: 'GETMETADATA' }>;
type Set = Extract<MetadataCommand, { name: 'SETMETADATA' }>;

/** RFC 5464 4.2. */
export async function getMetadata(command: Get, context: Context): Promise<Reply> {
  const account = accountOf(context);
  const { store, clock, options } = context.parts;
  if (command.mailbox !== '' && !(await store.mailboxes.find(account.id, command.mailbox))) {
    return no('No such mailbox', 'NONEXISTENT');
  }
  const values = await annotations(command.mailbox, account, { store, now: clock.now(), options });
  const all = [...entriesOf(values, command.entries, command.depth)];

  const maxSize = command.maxSize ?? Infinity;
  const kept = all.filter(([, value]) => value === undefined || Buffer.byteLength(value) <= maxSize);
  const longest = Math.max(0, ...all.map(([, value]) => Buffer.byteLength(value ?? '')));
  if (kept.length > 0) context.write(untagged.metadata(command.mailbox, kept));
  // RFC 5464 4.2.1.
  return ok('GETMETADATA completed', longest > maxSize ? codes.metadataLongEntries(longest) : undefined);
}

/**
 * RFC 5464 4.3, for device tokens alone. Setting one adds it to the account's set, or renews it (relay.md 5); it goes
 * only when the notifier says that the device is gone. All entries or none.
 */
export async function setMetadata(command: Set, context: Context): Promise<Reply> {
  const account = accountOf(context);
  if (command.entries.length > MAX_SET_ENTRIES) return no('Too many entries', 'METADATA TOOMANY');
  const tokens: string[] = [];
  for (const { entry, value } of command.entries) {
    if (command.mailbox !== 'INBOX' || entry !== DEVICE_TOKEN) return no('Entry cannot be set', 'NOPERM');
    if (value && value.length > MAX_TOKEN) return no('Value too long', codes.metadataMaxSize(MAX_TOKEN));
    if (!value || !isToken(value)) return no('Not a device token', 'CANNOT');
    tokens.push(value.toString('latin1'));
  }
  const { store, clock } = context.parts;
  for (const token of tokens) await store.tokens.add(account.id, token, clock.now());
  return ok('SETMETADATA completed');
}
