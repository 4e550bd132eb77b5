import { createHmac } from 'node:crypto';
import { day } from '../clock.ts';
import type { Clock, Random } from '../clock.ts';
import type { Events } from '../observe/events.ts';
import { StoreUnavailable } from '../store/contract.ts';
import type { Account, Store } from '../store/contract.ts';
import { HashQueueFull, createHashQueue } from './hash-queue.ts';
import { creationRefused, loginAddress } from './names.ts';
import type { CreationRules } from './names.ts';
import { MAX_PASSWORD_BYTES, checkPassword, checkingCost, hashPassword, wantedRounds } from './passwords.ts';
import type { Registration } from './registration.ts';
import { createTarpit } from './tarpit.ts';
import { createVerifiedLogins } from './verified-logins.ts';

/**
 * `refused`: to the client all are a wrong password; `reason` is for our log, without address and password.
 * `unavailable`: nobody knows yet whether the password is right; the client must not be told that it is wrong.
 */
export type LoginOutcome =
  | { readonly kind: 'ok'; readonly account: Account; readonly created: boolean }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** Never rejects. Whatever is not `ok` comes after the tarpit's delay. The events have been told. */
export type Login = (address: string, password: string, how?: LoginOptions) => Promise<LoginOutcome>;

export interface LoginOptions {
  /** Whether this login keeps an unused account alive (true unless said): upstream counts IMAP alone (relay.md 6). */
  readonly countsAsUse?: boolean;
  /** The network address it comes from; without one no rate for new accounts counts it. */
  readonly peer?: string;
}

export interface LoginParts {
  readonly store: Pick<Store, 'accounts'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Pick<
    Events,
    'loginRefused' | 'loginUnavailable' | 'accountCreated' | 'storeUnavailable' | 'fault'
  >;
  /** Lower case; what stands after the `@` of every account. */
  readonly domain: string;
  readonly rules: CreationRules;
  /** Asked only for names and passwords that would do; always yes unless given. */
  readonly mayCreate?: Registration['mayCreate'];
  /** Password hashes at once: the number of cores. */
  readonly hashesInFlight: number;
  /** See MAX_QUEUED_COST. */
  readonly maxQueuedCost?: number;
}

/** New accounts may fill half of the queue: a flood of them must not keep users from their mail. */
const SHARE_FOR_CREATION = 0.5;
const SHARE_FOR_USERS = 1;

/**
 * Checks logins, and makes the account of a name that nobody has (relay.md 2). One for all protocols: Delta Chat's first
 * logins by SMTP and IMAP run side by side (client.md 1.6) and share one hash and one account.
 */
export function createLogin(parts: LoginParts): Login {
  const { store, clock, random, events, domain, rules, mayCreate = () => undefined } = parts;
  const hashes = createHashQueue({
    inFlight: parts.hashesInFlight,
    ...(parts.maxQueuedCost === undefined ? {} : { maxCost: parts.maxQueuedCost }),
  });
  const verified = createVerifiedLogins(clock, random);
  const tarpit = createTarpit(clock);

  /** Of a process: what names a flight must not hold the password itself. */
  const flightKey = random(32);
  /** The same login under way more than once is one piece of work. At most one entry for each open session. */
  const flights = new Map<string, Promise<LoginOutcome>>();

  const create = async (
    address: string,
    password: string,
    peer: string | undefined,
  ): Promise<LoginOutcome> => {
    const refused = creationRefused(address, password, rules);
    if (refused !== undefined) return { kind: 'refused', reason: `no account made: ${refused}` };
    const stop = mayCreate({ password, peer });
    if (stop !== undefined) {
      const reason = `no account made: ${stop.reason}`;
      // To the client `refused` is a wrong password; what passes must not look like one (relay.md 10).
      if (stop.kind !== 'busy') return { kind: 'refused', reason };
      events.loginUnavailable(reason);
      return { kind: 'unavailable', reason };
    }
    const hash = await hashes.run(wantedRounds(password), SHARE_FOR_CREATION, () =>
      hashPassword(password, random),
    );
    const { account, created } = await store.accounts.create(address, hash, clock.now());
    // Somebody else was faster, in another process or with another password.
    if (!created) return verify(account, password);
    verified.add(account, password);
    events.accountCreated(address);
    return { kind: 'ok', account, created: true };
  };

  const verify = async (account: Account, password: string): Promise<LoginOutcome> => {
    if (verified.has(account, password)) return { kind: 'ok', account, created: false };
    const { passwordHash } = account;
    const check = await hashes.run(checkingCost(passwordHash), SHARE_FOR_USERS, () =>
      checkPassword(password, passwordHash),
    );
    if (check === 'wrong') return { kind: 'refused', reason: 'wrong password' };
    if (check === 'unreadable')
      return { kind: 'refused', reason: 'the stored password hash cannot be checked' };
    const current = check === 'right-but-weak' ? await renewHash(account, password) : account;
    verified.add(current, password);
    return { kind: 'ok', account: current, created: false };
  };

  /** The password is known to be right: what goes wrong here is left for the next login. */
  const renewHash = async (account: Account, password: string): Promise<Account> => {
    try {
      const hash = await hashes.run(wantedRounds(password), SHARE_FOR_USERS, () =>
        hashPassword(password, random),
      );
      // While we hashed, the password may have been changed; the old one must not come back.
      const now = await store.accounts.find(account.address);
      if (now?.id !== account.id || now.passwordHash !== account.passwordHash) return account;
      await store.accounts.setPasswordHash(account.id, hash);
      return { ...account, passwordHash: hash };
    } catch (error) {
      failed(error);
      return account;
    }
  };

  const attempt = async (address: string, password: string, peer?: string): Promise<LoginOutcome> => {
    try {
      const account = await store.accounts.find(address);
      return account === undefined ? await create(address, password, peer) : await verify(account, password);
    } catch (error) {
      return { kind: 'unavailable', reason: failed(error) };
    }
  };

  /** Tells the events what went wrong and answers with a word for the outcome. */
  const failed = (error: unknown): string => {
    if (error instanceof HashQueueFull) {
      events.loginUnavailable(error.message);
      return error.message;
    }
    if (error instanceof StoreUnavailable) {
      events.storeUnavailable(error);
      return 'the store does not answer';
    }
    events.fault('login', error);
    return 'a fault of ours';
  };

  /** Joins the flight of the same login or starts one; only who started it is told that it made the account. */
  const sharedAttempt = async (address: string, password: string, peer?: string): Promise<LoginOutcome> => {
    const key = `${address}\0${createHmac('sha256', flightKey).update(password).digest('base64')}`;
    const flight = flights.get(key);
    if (flight !== undefined) {
      const outcome = await flight;
      return outcome.kind === 'ok' ? { ...outcome, created: false } : outcome;
    }
    const started = attempt(address, password, peer).finally(() => flights.delete(key));
    flights.set(key, started);
    return started;
  };

  const check = async (login: string, password: string, peer?: string): Promise<LoginOutcome> => {
    const address = loginAddress(login, domain);
    if (address === undefined) return { kind: 'refused', reason: 'not a name of this relay' };
    if (password.length === 0) return { kind: 'refused', reason: 'no password' };
    if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES)
      return { kind: 'refused', reason: 'the password is too long' };
    return sharedAttempt(address, password, peer);
  };

  /** Kept as a day: one write a day at most, and nothing to wait for on the other logins of that day. */
  const touch = async (account: Account): Promise<void> => {
    const now = clock.now();
    if (account.lastLoginDay >= now - (now % day)) return;
    try {
      await store.accounts.touch(account.id, now);
    } catch (error) {
      failed(error);
    }
  };

  return async (login, password, { countsAsUse = true, peer } = {}) => {
    const outcome = await check(login, password, peer);
    if (outcome.kind === 'ok') {
      if (countsAsUse) await touch(outcome.account);
      return outcome;
    }
    if (outcome.kind === 'refused') events.loginRefused(outcome.reason);
    await tarpit();
    return outcome;
  };
}
