import type { Collection } from 'mongodb';
import { MAX_TOKENS, TOKEN_LIFE } from '../contract.ts';
import type { AccountId, DeviceTokens } from '../contract.ts';
import { isDuplicate } from './duplicate-key.ts';

/** A document of the collection `teal.tokens`, which has an index on `tokens.token`. */
export interface TokensDocument {
  /** The account. */
  readonly _id: AccountId;
  /** One more with each change, so that of two that change it at once one begins anew. */
  readonly version: number;
  readonly tokens: readonly DatedToken[];
}

export interface DatedToken {
  readonly token: string;
  /** When it was set last, in milliseconds. */
  readonly at: number;
}

export interface TokensParts {
  readonly tokens: Collection<TokensDocument>;
  readonly accountExists: (account: AccountId) => Promise<boolean>;
  /** Removes the push jobs of these tokens. */
  readonly dropJobs: (tokens: readonly string[]) => Promise<void>;
}

export interface WildduckTokens extends DeviceTokens {
  /** The tokens of these accounts that are not too old, each once. */
  listMany(accounts: readonly AccountId[], now: number): Promise<readonly string[]>;
  /** The account is gone, and with it its tokens; call it after its own document is removed. */
  removeAll(account: AccountId): Promise<void>;
  /** The notifier knows the token no more: no account has it after this. */
  forget(token: string): Promise<void>;
}

/** Tries at one document that others change at the same time. */
const MAX_TRIES = 20;

export function createTokens({ tokens, accountExists, dropJobs }: TokensParts): WildduckTokens {
  /** Answers with the tokens that fell out; undefined where another was faster. */
  const tryAdd = async (account: AccountId, token: string, now: number) => {
    const found = await tokens.findOne({ _id: account });
    const { kept, dropped } = withToken(found?.tokens ?? [], token, now);
    if (found) {
      const { modifiedCount } = await tokens.updateOne(
        { _id: account, version: found.version },
        { $set: { tokens: kept }, $inc: { version: 1 } },
      );
      return modifiedCount === 1 ? dropped : undefined;
    }
    try {
      await tokens.insertOne({ _id: account, version: 1, tokens: kept });
      return dropped;
    } catch (error) {
      if (isDuplicate(error)) return undefined;
      throw error;
    }
  };

  /** Jobs of tokens that no account has are nobody's. */
  const dropJobsOfNobody = async (dropped: readonly string[]) => {
    if (dropped.length === 0) return;
    const others = await tokens.find({ 'tokens.token': { $in: [...dropped] } }).toArray();
    const held = new Set(others.flatMap((other) => other.tokens.map(({ token }) => token)));
    await dropJobs(dropped.filter((token) => !held.has(token)));
  };

  const removeAll = async (account: AccountId) => {
    const { value } = await tokens.findOneAndDelete({ _id: account });
    await dropJobsOfNobody(value?.tokens.map(({ token }) => token) ?? []);
  };

  return {
    async add(account, token, now) {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const dropped = await tryAdd(account, token, now);
        if (dropped === undefined) continue;
        await dropJobsOfNobody(dropped);
        // Asked last: who removes an account removes its document first and its tokens then, so one of us two sees it.
        if (!(await accountExists(account))) await removeAll(account);
        return;
      }
      throw new Error('the tokens of an account change too fast');
    },
    list: async (account, now) => current((await tokens.findOne({ _id: account }))?.tokens ?? [], now),
    listMany: async (accounts, now) => {
      const found = await tokens.find({ _id: { $in: [...accounts] } }).toArray();
      return [...new Set(found.flatMap((each) => current(each.tokens, now)))];
    },
    removeAll,
    forget: async (token) => {
      await tokens.updateMany(
        { 'tokens.token': token },
        { $pull: { tokens: { token } }, $inc: { version: 1 } },
      );
    },
  };
}

function current(tokens: readonly DatedToken[], now: number): string[] {
  return tokens
    .filter(({ at }) => at >= now - TOKEN_LIFE)
    .toSorted((one, other) => one.at - other.at)
    .map(({ token }) => token);
}

/** The set with this token set now: without those that are too old, and without the oldest beyond `MAX_TOKENS`. */
export function withToken(
  tokens: readonly DatedToken[],
  token: string,
  now: number,
): { kept: readonly DatedToken[]; dropped: readonly string[] } {
  const others = tokens.filter((other) => other.token !== token).toSorted((one, other) => other.at - one.at);
  const kept = others.filter(({ at }) => at >= now - TOKEN_LIFE).slice(0, MAX_TOKENS - 1);
  const keptTokens = new Set(kept);
  return {
    kept: [...kept.toReversed(), { token, at: now }],
    dropped: others.filter((other) => !keptTokens.has(other)).map((other) => other.token),
  };
}
