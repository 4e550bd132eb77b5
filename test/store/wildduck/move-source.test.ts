import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/machine.ts';
import { openWildduckSource } from '../../../src/store/wildduck/move-source.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';

test(
  'who reads a database to move it makes nothing there: it may be the wrong one',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using database = await openTestDatabase();
    const { mongodbUrl, redisUrl, name } = database;
    await using source = await openWildduckSource({
      mongodbUrl,
      redisUrl,
      database: name,
      clock: systemClock,
      onFault: assert.ifError,
    });
    assert.equal((await source.values()).size, 0);
    assert.deepEqual(await database.database.listCollections().toArray(), []);
  },
);
