import type { Mailbox } from '../../store/contract.ts';
import type { Context, Reply } from '../context.ts';
import { accountOf, bad, ok } from '../context.ts';
import { DELIMITER, levelsAbove } from '../mailbox-name.ts';
import type { ListCommand } from '../wire/command.ts';
import { matchesPattern } from '../wire/mailbox-pattern.ts';
import { untagged } from '../wire/response.ts';
import { statusValues } from './status.ts';

type List = Extract<ListCommand, { name: 'LIST' }>;

/** RFC 5258 options that change nothing here: there are no remote mailboxes, and CHILDREN is always answered. */
const SELECTION = ['SUBSCRIBED', 'REMOTE'];
const RETURNS = ['SUBSCRIBED', 'CHILDREN', 'STATUS'];
/** Patterns in one LIST: each costs a walk over all names. */
const MAX_PATTERNS = 20;

/** RFC 9051 6.3.9, RFC 3348 CHILDREN; of RFC 5258 what is cheap. */
export async function list(command: List, context: Context): Promise<Reply> {
  const { selection, returns, patterns } = command;
  if (!selection.every((option) => SELECTION.includes(option))) return bad('Unknown selection option');
  if (!returns.every((option) => RETURNS.includes(option))) return bad('Unknown return option');
  if (patterns.length > MAX_PATTERNS) return bad('Too many patterns');
  // RFC 9051 6.3.9: an empty pattern asks for the delimiter.
  if (patterns.length === 1 && patterns[0] === '') {
    context.write(untagged.delimiter());
    return ok('LIST completed');
  }
  const { mailboxes } = context.parts.store;
  const subscribedOnly = selection.includes('SUBSCRIBED');
  const wanted = patterns.map((pattern) => command.reference + pattern);
  const all = await mailboxes.list(accountOf(context).id);
  for (const { name, mailbox } of withLevelsAbove(all)) {
    if (subscribedOnly && !mailbox?.subscribed) continue;
    if (!wanted.some((pattern) => matchesPattern(name, pattern))) continue;
    const attributes = attributesOf(name, mailbox, all);
    if (mailbox?.subscribed && (subscribedOnly || returns.includes('SUBSCRIBED'))) {
      attributes.push('\\Subscribed');
    }
    context.write(untagged.list('LIST', attributes, name));
    // RFC 5819.
    const status = returns.includes('STATUS') && mailbox && (await mailboxes.status(mailbox.id));
    if (status) context.write(untagged.status(name, statusValues(status, command.status)));
  }
  return ok('LIST completed');
}

/** RFC 3501 6.3.9. */
export async function lsub(reference: string, pattern: string, context: Context): Promise<Reply> {
  const all = await context.parts.store.mailboxes.list(accountOf(context).id);
  const subscribed = all.filter((mailbox) => mailbox.subscribed);
  for (const { name, mailbox } of withLevelsAbove(subscribed)) {
    if (!matchesPattern(name, reference + pattern)) continue;
    // RFC 3501 6.3.9: `%` stops at a level that is not subscribed but has some below it.
    if (mailbox) context.write(untagged.list('LSUB', [], name));
    else if (pattern.includes('%')) context.write(untagged.list('LSUB', ['\\Noselect'], name));
  }
  return ok('LSUB completed');
}

/** All names in order, with the levels above that are no mailboxes themselves (RFC 9051 6.3.9, \Noselect). */
function withLevelsAbove(
  all: readonly Mailbox[],
): { readonly name: string; readonly mailbox: Mailbox | undefined }[] {
  const names = new Map<string, Mailbox | undefined>();
  for (const mailbox of all) {
    for (const above of levelsAbove(mailbox.name)) {
      if (!names.has(above)) names.set(above, undefined);
    }
    names.set(mailbox.name, mailbox);
  }
  return [...names].map(([name, mailbox]) => ({ name, mailbox }));
}

function attributesOf(name: string, mailbox: Mailbox | undefined, all: readonly Mailbox[]): string[] {
  const hasChildren = all.some((other) => other.name.startsWith(name + DELIMITER));
  return [...(mailbox ? [] : ['\\Noselect']), hasChildren ? '\\HasChildren' : '\\HasNoChildren'];
}
