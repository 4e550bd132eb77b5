import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { Db } from 'mongodb';

/** A database and a Redis prefix of a test's own, on the servers that MONGODB_URL and REDIS_URL name. */
export interface TestDatabase extends AsyncDisposable {
  readonly mongodbUrl: string;
  readonly redisUrl: string;
  readonly name: string;
  readonly client: MongoClient;
  readonly database: Db;
  readonly redis: Redis;
}

/** Disposing of it drops the database, removes the keys that begin with its name, and closes the connections. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const mongodbUrl = process.env['MONGODB_URL'] ?? '';
  const redisUrl = process.env['REDIS_URL'] ?? '';
  const name = `teal-test-${randomBytes(6).toString('hex')}`;
  const client = await MongoClient.connect(mongodbUrl);
  const redis = new Redis(redisUrl);
  const database = client.db(name);
  return {
    mongodbUrl,
    redisUrl,
    name,
    client,
    database,
    redis,
    [Symbol.asyncDispose]: async () => {
      await database.dropDatabase();
      await client.close();
      const keys = await redis.keys(`${name}*`);
      if (keys.length > 0) await redis.del(...keys);
      redis.disconnect();
    },
  };
}
