import { createHash } from 'node:crypto';
import type { MovedAccount, MoveSource } from '../store/contract.ts';

/** How much there is of everything. */
export interface Counts {
  accounts: number;
  mailboxes: number;
  messages: number;
  /** Of all messages together. */
  bytes: number;
  tokens: number;
  pushJobs: number;
  /** Messages in the queue. */
  queued: number;
  /** Recipients that wait, of all of them together. */
  queueRows: number;
  values: number;
  signUpTokens: number;
}

export interface Comparison {
  readonly source: Summary;
  readonly target: Summary;
  /** What differs: addresses, `push jobs`, `queue`, `values`, `sign-up tokens`; at most `MAX_DIFFERENCES` of them. Empty: all is the same. */
  readonly differences: readonly string[];
}

export interface Summary {
  readonly counts: Readonly<Counts>;
  /** SHA-256 over all that a client or the relay could notice, message bytes included. */
  readonly checksum: string;
}

/** Differences that are named; where there are many, more names help nobody. */
const MAX_DIFFERENCES = 20;

/** Reads both whole, side by side. */
export async function compare(source: MoveSource, target: MoveSource): Promise<Comparison> {
  const [left, right] = [createReading(source), createReading(target)];
  const differences: string[] = [];
  const differs = (what: string) => {
    if (differences.length < MAX_DIFFERENCES) differences.push(what);
  };
  let [one, other] = await Promise.all([left.next(), right.next()]);
  while (one || other) {
    if (one && other && one.title === other.title) {
      if (one.digest !== other.digest) differs(one.title);
      [one, other] = await Promise.all([left.next(), right.next()]);
    } else if (!other || (one && one.order < other.order)) {
      differs(one?.title ?? '');
      one = await left.next();
    } else {
      differs(other.title);
      other = await right.next();
    }
  }
  return { source: left.summary(), target: right.summary(), differences };
}

/** One piece of a store: an account with all that is its own, or what is not of an account. */
interface Piece {
  readonly title: string;
  /** Pieces come in the order of this. */
  readonly order: string;
  readonly digest: string;
}

function createReading(source: MoveSource) {
  const counts = {
    accounts: 0,
    mailboxes: 0,
    messages: 0,
    bytes: 0,
    tokens: 0,
    pushJobs: 0,
    queued: 0,
    queueRows: 0,
    values: 0,
    signUpTokens: 0,
  };
  const whole = createHash('sha256');
  const pieces = read(source, counts);
  return {
    next: async (): Promise<Piece | undefined> => {
      const { value } = await pieces.next();
      if (value) whole.update(`${value.title} ${value.digest}\n`);
      return value ?? undefined;
    },
    /** Ends the reading. */
    summary: (): Summary => ({ counts, checksum: whole.digest('hex') }),
  };
}

async function* read(source: MoveSource, counts: Counts): AsyncGenerator<Piece, undefined> {
  for await (const account of source.accounts()) {
    const digest = await digestOfAccount(source, account, counts);
    yield { title: account.address, order: `1 ${account.address}`, digest };
  }
  const jobs = createHash('sha256');
  for await (const { token, attempts, since, due } of source.pushJobs()) {
    jobs.update(line(token, attempts, since, due));
    counts.pushJobs += 1;
  }
  yield { title: 'push jobs', order: '2', digest: jobs.digest('hex') };
  yield { title: 'queue', order: '3', digest: await digestOfQueue(source, counts) };
  const values = [...(await source.values())].sort(byFirst);
  counts.values = values.length;
  const digest = createHash('sha256').update(line(values, await source.lastUidValidity()));
  yield { title: 'values', order: '4', digest: digest.digest('hex') };
  yield { title: 'sign-up tokens', order: '5', digest: await digestOfSignUpTokens(source, counts) };
  return undefined;
}

async function digestOfAccount(source: MoveSource, account: MovedAccount, counts: Counts): Promise<string> {
  const hash = createHash('sha256');
  const { address, passwordHash, createdDay, lastLoginDay, acceptsCleartext } = account;
  const tokens = account.tokens.map(({ token, setAt }) => [token, setAt] as const).sort(byFirst);
  hash.update(line(address, passwordHash, createdDay, lastLoginDay, acceptsCleartext, tokens));
  counts.accounts += 1;
  counts.tokens += tokens.length;
  for (const [name, mailbox] of account.mailboxes.map((each) => [each.name, each] as const).sort(byFirst)) {
    const { uidValidity, uidNext, highestModseq, subscribed } = mailbox;
    hash.update(line(name, uidValidity, uidNext, highestModseq, subscribed));
    counts.mailboxes += 1;
    for await (const each of source.messages(address, name, 0)) {
      const { uid, modseq, size, headerSize, internalDate, saveDate, message } = each;
      const flags = [...each.flags].sort();
      hash.update(line(uid, modseq, flags, size, headerSize, internalDate, saveDate, message.length));
      hash.update(message);
      counts.messages += 1;
      counts.bytes += message.length;
    }
  }
  return hash.digest('hex');
}

/**
 * The ids are left out, and the order with them: each store gives its own. The sum of digests is the same in any order,
 * and needs no more memory for many.
 */
async function digestOfQueue(source: MoveSource, counts: Counts): Promise<string> {
  let sum = 0n;
  for await (const { sender, queuedAt, headerSize, message, signature, rows } of source.queue()) {
    const hash = createHash('sha256');
    hash.update(line(sender, queuedAt, headerSize, signature?.keys, signature?.fields, message.length));
    hash.update(message);
    for (const { recipient, destination, attempts, due, reason } of rows)
      hash.update(line(recipient, destination, attempts, due, reason));
    sum = BigInt.asUintN(256, sum + BigInt(`0x${hash.digest('hex')}`));
    counts.queued += 1;
    counts.queueRows += rows.length;
  }
  return sum.toString(16);
}

async function digestOfSignUpTokens(source: MoveSource, counts: Counts): Promise<string> {
  const tokens = (await source.signUpTokens()).map((each) => [each.id, each] as const).sort(byFirst);
  const digest = createHash('sha256');
  for (const [id, { hash, note, createdAt, expiresAt, uses, used }] of tokens)
    digest.update(line(id, hash, note, createdAt, expiresAt, uses, used));
  counts.signUpTokens = tokens.length;
  return digest.digest('hex');
}

/** No two lists of values give the same text. */
function line(...values: readonly unknown[]): string {
  return `${JSON.stringify(values)}\n`;
}

function byFirst([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}
