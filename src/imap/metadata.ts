import type { Account, Store } from '../store/contract.ts';
import type { ImapOptions } from './context.ts';

/**
 * The annotations of RFC 5464 that there are: what Delta Chat asks of a relay (client.md 5, relay.md 5). The relay's own
 * can be read by everybody who is logged in; the device tokens only by their account.
 */
export const DEVICE_TOKEN = '/private/devicetoken';

/** The client splits larger groups (client.md 3.3); it takes the entry for "push is supported" as well. */
export const MAX_SMTP_RECIPIENTS = 1000;

/** Delta Chat makes tokens of some 950 characters and refuses above this itself (client.md 4). */
export const MAX_TOKEN = 4096;

/** Entries in one SETMETADATA; a client has one token. */
export const MAX_SET_ENTRIES = 16;

/** A token goes into a space-separated list and to the notifier as it is: no space, no control, no 8-bit characters. */
export function isToken(value: Buffer): boolean {
  return value.length > 0 && value.length <= MAX_TOKEN && /^[\x21-\x7e]+$/.test(value.toString('latin1'));
}

/** What has a value now, by entry name. `mailbox` is '' for the server. */
export async function annotations(
  mailbox: string,
  account: Account,
  { store, now, options }: { readonly store: Store; readonly now: number; readonly options: ImapOptions },
): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, string>();
  if (mailbox === '') {
    if (options.adminUri) values.set('/shared/admin', options.adminUri);
    const irohRelay = options.irohRelay?.();
    if (irohRelay) values.set('/shared/vendor/deltachat/irohrelay', irohRelay);
    values.set('/shared/vendor/deltachat/maxsmtprecipients', String(MAX_SMTP_RECIPIENTS));
  } else if (mailbox === 'INBOX') {
    const tokens = await store.tokens.list(account.id, now);
    if (tokens.length > 0) values.set(DEVICE_TOKEN, tokens.join(' '));
  }
  return values;
}

/**
 * What to answer for `wanted`, each entry once: its value, with `depth` those below it (RFC 5464 4.2.2), undefined
 * (NIL) where there is nothing, so that the answer is never an empty list (client.md 2.6, 1).
 */
export function entriesOf(
  values: ReadonlyMap<string, string>,
  wanted: readonly string[],
  depth: 0 | 1 | 'infinity',
): ReadonlyMap<string, string | undefined> {
  const entries = new Map<string, string | undefined>();
  for (const entry of wanted) {
    const below = [...values].filter(([name]) => isBelow(name, entry, depth));
    for (const [name, value] of below) entries.set(name, value);
    const value = values.get(entry);
    if (value !== undefined || below.length === 0) entries.set(entry, value);
  }
  return entries;
}

function isBelow(name: string, entry: string, depth: 0 | 1 | 'infinity'): boolean {
  const prefix = entry.endsWith('/') ? entry : `${entry}/`;
  if (depth === 0 || !name.startsWith(prefix)) return false;
  return depth === 'infinity' || !name.slice(prefix.length).includes('/');
}
