import type { Collection } from 'mongodb';
import { MAX_VALUES_LISTED } from '../contract.ts';
import type { Values } from '../contract.ts';
import { connect, wrap } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import { isDuplicate } from './duplicate-key.ts';

/** A document of the collection `teal.values`. */
export interface ValueDocument {
  /** The key. */
  readonly _id: string;
  readonly value: string;
}

export function createValues(values: Collection<ValueDocument>): Values {
  const get = async (key: string) => (await values.findOne({ _id: key }))?.value;
  /** False where there is one already. Not an upsert: of two at once each may believe that its own value stands. */
  const insert = async (key: string, value: string): Promise<boolean> => {
    try {
      await values.insertOne({ _id: key, value });
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  };
  return {
    get,
    set: async (key, value) => {
      const { matchedCount } = await values.updateOne({ _id: key }, { $set: { value } });
      if (matchedCount > 0 || (await insert(key, value))) return;
      await values.updateOne({ _id: key }, { $set: { value } });
    },
    setOnce: async (key, value) => {
      // Once more where it was removed between the two questions.
      for (;;) {
        const there = await get(key);
        if (there !== undefined) return there;
        if (await insert(key, value)) return value;
      }
    },
    setIf: async (key, was, value) => {
      if (was === undefined) return insert(key, value);
      const { matchedCount } = await values.updateOne({ _id: key, value: was }, { $set: { value } });
      return matchedCount === 1;
    },
    removeIf: async (key, was) => {
      const { deletedCount } = await values.deleteOne({ _id: key, value: was });
      return deletedCount === 1;
    },
    list: async (prefix) => {
      const found = await values
        // No text goes on above that in the order of UTF-8.
        .find({ _id: { $gte: prefix, $lt: `${prefix}\u{10ffff}\u{10ffff}` } })
        .sort({ _id: 1 })
        .limit(MAX_VALUES_LISTED)
        .toArray();
      return new Map(found.map(({ _id, value }) => [_id, value]));
    },
  };
}

/** The values in a database, for a command, beside whatever Teal is running on it. */
export async function openWildduckValues(options: ConnectOptions): Promise<Values & AsyncDisposable> {
  const connection = await wrap(() => connect(options));
  const values = createValues(connection.collections.values);
  return { ...values, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
}
