import type { Collection } from 'mongodb';
import type { Values } from '../contract.ts';
import { isDuplicate } from './duplicate-key.ts';

/** A document of the collection `teal.values`. */
export interface ValueDocument {
  /** The key. */
  readonly _id: string;
  readonly value: string;
}

/** Values are never removed, so what is found once is there for good. */
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
      const there = await get(key);
      if (there !== undefined) return there;
      return (await insert(key, value)) ? value : ((await get(key)) ?? value);
    },
    setIf: async (key, was, value) => {
      if (was === undefined) return insert(key, value);
      const { matchedCount } = await values.updateOne({ _id: key, value: was }, { $set: { value } });
      return matchedCount === 1;
    },
  };
}
