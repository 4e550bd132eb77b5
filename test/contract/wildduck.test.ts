import { describe } from 'node:test';
import { without } from '../harness/peers.ts';
import { openTestWildduck } from '../harness/wildduck-store.ts';
import { contractSuite } from './suite.ts';

describe('with MongoDB and Redis', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  contractSuite('WildDuck', async (options) => {
    const opened = await openTestWildduck(options);
    return { ...opened.store, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
  });
});
