import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ObjectId } from 'mongodb';
import { hour, minute } from '../../../src/clock.ts';
import { connect } from '../../../src/store/wildduck/connect.ts';
import type { Connection } from '../../../src/store/wildduck/connect.ts';
import { createFiles } from '../../../src/store/wildduck/files.ts';
import type { Files } from '../../../src/store/wildduck/files.ts';
import { sized } from '../../contract/fixture.ts';
import { createTestClock } from '../../harness/clock.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';

describe('files of messages', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  let database: TestDatabase;
  let connection: Connection;
  let files: Files;
  const clock = createTestClock();
  const bytes = sized(2_500_000);

  before(async () => {
    database = await openTestDatabase();
    const { mongodbUrl, redisUrl, name } = database;
    connection = await connect({ mongodbUrl, redisUrl, database: name, onFault: () => {} });
    files = createFiles(connection.collections, clock);
  });
  after(async () => {
    await connection[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  const write = () => files.write(bytes, { count: 1, magic: 7 });
  const isThere = async (id: ObjectId) =>
    (await connection.collections.files.countDocuments({ _id: id })) === 1 &&
    (await connection.collections.chunks.countDocuments({ files_id: id })) === 3;
  /** A message as far as files look at it. */
  const name = async (file: ObjectId, count: number) => {
    for (let n = 0; n < count; n += 1)
      await database.database.collection('messages').insertOne({
        mailbox: new ObjectId(),
        uid: 1,
        magic: 7,
        teal: { file },
      });
  };
  const forget = (file: ObjectId) =>
    database.database.collection('messages').deleteOne({ 'teal.file': file });

  test('come back in any part, across the seams', async () => {
    const id = await write();
    await using file = await files.open(id);
    const MiB = 1024 * 1024;
    for (const [from, to] of [
      [0, bytes.length],
      [MiB - 1, MiB + 1],
      [MiB, 2 * MiB],
      [5, 5],
      [bytes.length - 1, bytes.length],
    ] as const)
      assert.ok((await file?.read(from, to))?.equals(bytes.subarray(from, to)), `${from} to ${to}`);
  });

  test('go with the last message that has them', async () => {
    const id = await write();
    await name(id, 2);
    await forget(id);
    await files.release([id]);
    assert.ok(await isThere(id));
    await forget(id);
    await files.release([id]);
    assert.ok(!(await isThere(id)));
    assert.equal(await files.open(id), undefined);
  });

  test('stay for who reads them, and for nobody else', async () => {
    const id = await write();
    const one = await files.open(id);
    const other = await files.open(id);
    await files.release([id]);
    assert.equal(await files.open(id), undefined);
    await one?.[Symbol.asyncDispose]();
    await one?.[Symbol.asyncDispose]();
    assert.ok((await other?.read(0, 100))?.equals(bytes.subarray(0, 100)));
    await other?.[Symbol.asyncDispose]();
    assert.ok(!(await isThere(id)));
  });

  test('that nobody has are swept when they are old, also from under a reader that died', async () => {
    const nobodys = await write();
    const somebodys = await write();
    const read = await write();
    await name(somebodys, 1);
    await files.open(read);
    await files.sweep();
    assert.ok(await isThere(nobodys), 'its message may be on the way');
    clock.advance(61 * minute);
    const young = await write();
    await files.sweep();
    assert.deepEqual(await Promise.all([nobodys, somebodys, read, young].map(isThere)), [
      false,
      true,
      false,
      true,
    ]);
    clock.advance(hour);
  });
});
