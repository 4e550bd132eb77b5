import type { SharedValues } from '../../src/tls/lease.ts';

/** The values of a store, in memory, for several parts that share them. */
export function createMemoryValues(): SharedValues & { readonly all: Map<string, string> } {
  const all = new Map<string, string>();
  return {
    all,
    get: (key) => Promise.resolve(all.get(key)),
    set: (key, value) => Promise.resolve(void all.set(key, value)),
    setOnce: (key, value) => {
      if (!all.has(key)) all.set(key, value);
      return Promise.resolve(all.get(key) ?? value);
    },
    setIf: (key, was, value) => {
      const fits = all.get(key) === was;
      if (fits) all.set(key, value);
      return Promise.resolve(fits);
    },
  };
}
