import { describe } from 'node:test';
import type { StoreName } from '../../src/stores.ts';
import { without } from './peers.ts';

/** Every store there is, with what keeps it from being tested here. */
export const stores: readonly {
  readonly store: StoreName;
  readonly title: string;
  readonly skip: string | false;
}[] = [
  { store: 'sqlite', title: 'SQLite', skip: false },
  { store: 'wildduck', title: 'WildDuck', skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
];

/** `describe` once for each store; `skip` as for `describe`. */
export function onEachStore(title: string, skip: string | false, tests: (store: StoreName) => void): void {
  for (const { store, title: of, skip: without } of stores)
    describe(`${title}, on ${of}`, { skip: skip || without }, () => tests(store));
}
