import { ObjectId } from 'mongodb';
import type { Collection, Filter } from 'mongodb';
import { minute } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { MAX_SIGN_UP_TOKENS, tokenRefusal } from '../contract.ts';
import type { Accounts, SignUpToken, SignUpTokens } from '../contract.ts';
import { connect, wrap } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import type { DatabaseClock } from './database-clock.ts';
import { isDuplicate } from './duplicate-key.ts';

/** Collection `teal.sign-up-tokens`. */
export interface SignUpTokenDocument {
  /** The hash. */
  readonly _id: string;
  readonly id: string;
  readonly note: string;
  readonly createdAt: number;
  /** Null: it does not expire. */
  readonly expiresAt: number | null;
  /** Null: without number. */
  readonly uses: number | null;
  readonly used: number;
  /** Uses that are counted in `used` and whose accounts are being made, or were when their process died. */
  readonly making: readonly Making[];
  /** Those of `making` that were given back because nobody was heard of: the last ones. */
  readonly lapsed: readonly ObjectId[];
}

interface Making {
  readonly key: ObjectId;
  readonly address: string;
  /** Since when, by the database's clock. */
  readonly at: number;
}

export interface SignUpTokenParts {
  readonly tokens: Collection<SignUpTokenDocument>;
  readonly accounts: Pick<Accounts, 'find' | 'create' | 'remove'>;
  readonly clock: Clock;
  readonly databaseClock: Pick<DatabaseClock, 'toDatabase'>;
  /** How long an account may take to be made before its maker counts as dead, in ms: shorter in tests. */
  readonly leaseMs?: number;
}

export interface WildduckSignUpTokens extends SignUpTokens {
  /** Decides what dead processes left undecided: whether their accounts came to be. */
  settleAbandoned(): Promise<void>;
}

/** Several times what the commands of one account may take, each up to its time-out. */
const LEASE = 2 * minute;
/** Uses given back that are remembered: for makers that were slow, not dead. */
const MAX_LAPSED = 100;

/**
 * A use is counted first, then the account is made, then the use is no longer `making`. Where the process dies, or does
 * not hear whether the account was made, another looks later: the account is there, and the use is spent, or it is not,
 * and the use is given back. A maker that was only slow finds that out by `lapsed`, and spends anew or undoes its account.
 */
export function createSignUpTokens(parts: SignUpTokenParts): WildduckSignUpTokens {
  const { tokens, accounts, clock, databaseClock, leaseMs = LEASE } = parts;

  const find = async (hash: string) => {
    const found = await tokens.findOne({ _id: hash });
    return found ? tokenOf(found) : undefined;
  };

  /** Counts one use; false where the token has none left, or is not there. */
  const take = async ({ hash, uses }: SignUpToken, more: object): Promise<boolean> => {
    const left = uses === undefined ? {} : { used: { $lt: uses } };
    const { matchedCount } = await tokens.updateOne({ _id: hash, ...left }, { $inc: { used: 1 }, ...more });
    return matchedCount === 1;
  };

  const giveBack = async (hash: string, key: ObjectId): Promise<void> => {
    await tokens.updateOne(being(hash, key), { $inc: { used: -1 }, $pull: { making: { key } } });
  };

  /** The account is there; false where its use was given back meanwhile, and no other is left. */
  const spend = async (token: SignUpToken, key: ObjectId): Promise<boolean> => {
    const { matchedCount } = await tokens.updateOne(being(token.hash, key), { $pull: { making: { key } } });
    if (matchedCount === 1) return true;
    const lapsed = await tokens.countDocuments({ _id: token.hash, lapsed: key }, { limit: 1 });
    // Else somebody looked and found the account made, or the token was removed.
    return lapsed === 0 || (await take(token, {}));
  };

  return {
    ...createSignUpTokenList(tokens),
    find,

    signUp: async ({ hash, address, passwordHash, now }) => {
      const token = await find(hash);
      const why = tokenRefusal(token, now);
      if (!token || why) return { kind: 'refused', why: why ?? 'unknown' };
      if (await accounts.find(address)) return { kind: 'taken' };
      const key = new ObjectId();
      const making = { key, address, at: databaseClock.toDatabase(clock.now()) };
      if (!(await take(token, { $push: { making } })))
        return { kind: 'refused', why: tokenRefusal(await find(hash), now) ?? 'used-up' };
      // Where this rejects, nobody knows whether there is an account: `settleAbandoned` will look.
      const { account, created } = await accounts.create(address, passwordHash, now);
      if (!created) {
        await giveBack(hash, key);
        return { kind: 'taken' };
      }
      if (await spend(token, key)) return { kind: 'made', account };
      await accounts.remove(account.id);
      return { kind: 'refused', why: 'used-up' };
    },

    settleAbandoned: async () => {
      const before = databaseClock.toDatabase(clock.now()) - leaseMs;
      for await (const { _id, making } of tokens.find({ 'making.at': { $lt: before } }))
        for (const { key, address } of making.filter(({ at }) => at < before))
          if (await accounts.find(address))
            await tokens.updateOne(being(_id, key), { $pull: { making: { key } } });
          else
            await tokens.updateOne(being(_id, key), {
              $inc: { used: -1 },
              $pull: { making: { key } },
              $push: { lapsed: { $each: [key], $slice: -MAX_LAPSED } },
            });
    },
  };
}

/** What an operator does with them. */
export function createSignUpTokenList(
  tokens: Collection<SignUpTokenDocument>,
): Pick<SignUpTokens, 'add' | 'list' | 'remove'> {
  return {
    add: async (token) => {
      if ((await tokens.countDocuments({}, { limit: MAX_SIGN_UP_TOKENS })) >= MAX_SIGN_UP_TOKENS)
        return 'too-many';
      try {
        await tokens.insertOne(documentOf(token));
        return 'added';
      } catch (error) {
        if (isDuplicate(error)) return 'exists';
        throw error;
      }
    },
    list: async () => {
      const found = tokens.find({}).sort({ createdAt: 1, id: 1 }).limit(MAX_SIGN_UP_TOKENS);
      return (await found.toArray()).map(tokenOf);
    },
    remove: async (id) => (await tokens.deleteOne({ id })).deletedCount === 1,
  };
}

/** The token while this use of it is being made. */
const being = (hash: string, key: ObjectId): Filter<SignUpTokenDocument> => ({
  _id: hash,
  'making.key': key,
});

export function documentOf({ hash, expiresAt, uses, ...token }: SignUpToken): SignUpTokenDocument {
  const bounds = { expiresAt: expiresAt ?? null, uses: uses ?? null };
  return { _id: hash, ...token, ...bounds, making: [], lapsed: [] };
}

export function tokenOf({
  _id: hash,
  id,
  note,
  createdAt,
  expiresAt,
  uses,
  used,
}: SignUpTokenDocument): SignUpToken {
  return {
    id,
    hash,
    note,
    createdAt,
    expiresAt: expiresAt ?? undefined,
    uses: uses ?? undefined,
    used,
  };
}

/** The sign-up tokens in a database, for a command, beside whatever Teal is running on it. */
export async function openWildduckSignUpTokens(
  options: ConnectOptions,
): Promise<Pick<SignUpTokens, 'add' | 'list' | 'remove'> & AsyncDisposable> {
  const connection = await wrap(() => connect(options));
  const { add, list, remove } = createSignUpTokenList(connection.collections.signUpTokens);
  return {
    add: (token) => wrap(() => add(token)),
    list: () => wrap(list),
    remove: (id) => wrap(() => remove(id)),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}
