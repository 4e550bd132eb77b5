import { openTestStore } from '../harness/store.ts';
import { contractSuite } from './suite.ts';

contractSuite('SQLite', async (options) => {
  const opened = await openTestStore(options);
  return { ...opened.store, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
});
