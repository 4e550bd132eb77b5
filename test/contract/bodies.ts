import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Store } from '../../src/store/contract.ts';
import { bytesOf, headerSize, sized, start, text, useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';
import { sha256, shapes } from './shapes.ts';

export function bodySuite(open: OpenStore): void {
  describe('message bytes', () => {
    const at = useStore(open, 300 * 1024 * 1024);

    test('more than 100 messages of all shapes come back byte for byte', async () => {
      const all = shapes();
      assert.ok(all.length >= 100, `only ${all.length} shapes`);
      const mine = await at.account();
      const uids: number[] = [];
      // Alone and in company.
      const company = 15;
      for (const { message } of all.slice(0, company)) uids.push(await at.deliver(mine, message));
      for (let from = company; from < all.length; from += company)
        uids.push(
          ...(await Promise.all(
            all.slice(from, from + company).map(({ message }) => at.deliver(mine, message)),
          )),
        );
      const messages = await at.store.messages.get(mine.inbox, uids);
      const metaOf = new Map(messages.map((message) => [message.uid, message]));
      const headers = await at.store.messages.headers(mine.inbox, uids);
      for (const [index, { title, message, headerSize }] of all.entries()) {
        const uid = uids[index] ?? 0;
        const bytes = await bytesOf(at.store, mine.inbox, uid);
        assert.ok(bytes, title);
        assert.equal(bytes.length, message.length, title);
        assert.equal(sha256(bytes), sha256(message), title);
        const meta = metaOf.get(uid);
        assert.deepEqual(
          { size: meta?.size, headerSize: meta?.headerSize },
          { size: message.length, headerSize },
          title,
        );
        const header = headers.get(uid);
        assert.equal(header && sha256(header), sha256(message.subarray(0, headerSize)), title);
      }
    });

    for (const size of [100, 8193, 256 * 1024, 256 * 1024 + 1, 3_000_000])
      test(`any range of a message of ${size} bytes can be read`, async () => {
        const mine = await at.account();
        const message = sized(size);
        const uid = await at.deliver(mine, message);
        await using body = await at.store.messages.body(mine.inbox, uid);
        assert.ok(body);
        assert.equal(body.size, size);
        assert.equal(body.headerSize, headerSize(message));
        const middle = Math.floor(size / 2);
        const ranges = [
          [0, size],
          [0, 0],
          [0, 1],
          [size - 1, size],
          [size, size],
          [middle, middle + 37],
          [1, size - 1],
        ] as const;
        for (const [from, to] of ranges)
          assert.ok((await body.read(from, to)).equals(message.subarray(from, to)), `${from} to ${to}`);
        const several = await Promise.all(ranges.map(([from, to]) => body.read(from, to)));
        for (const [index, [from, to]] of ranges.entries())
          assert.ok(several[index]?.equals(message.subarray(from, to)), `${from} to ${to}, all at once`);
      });

    for (const size of [200, 100_000, 3_000_000])
      test(`a body of ${size} bytes opened before its expunge is readable to the end`, async () => {
        const mine = await at.account();
        const message = sized(size);
        const uid = await at.deliver(mine, message);
        await using body = await at.store.messages.body(mine.inbox, uid);
        assert.ok(body);
        await removeAll(at.store, mine.inbox, [uid]);
        assert.ok((await body.read(0, size)).equals(message));
        assert.equal(await at.store.messages.body(mine.inbox, uid), undefined, 'nobody else can open it');
      });

    test('a message handed in is the store’s own: changing the buffer afterwards changes nothing', async () => {
      const mine = await at.account();
      const message = text('as it was');
      const before = Buffer.from(message);
      const delivered = at.deliver(mine, message);
      message.fill(0x20);
      const bytes = await bytesOf(at.store, mine.inbox, await delivered);
      assert.ok(bytes?.equals(before));
    });

    test('a message that is part of a larger buffer is taken alone, and the buffer stays usable', async () => {
      const mine = await at.account();
      const stream = Buffer.from(`before${text('x').toString()}after`);
      const message = stream.subarray(6, 6 + text('x').length);
      const uid = await at.deliver(mine, message);
      assert.equal((await bytesOf(at.store, mine.inbox, uid))?.toString(), text('x').toString());
      assert.ok(stream.toString().startsWith('before'));
    });

    test('one message for many accounts is there for each, and stays when others expunge it', async () => {
      for (const size of [1000, 500_000]) {
        const everyone = await Promise.all(Array.from({ length: 10 }, () => at.account()));
        const message = sized(size);
        const { deliveries } = await at.store.accept({
          now: start,
          message,
          headerSize: headerSize(message),
          deliveries: everyone.map(({ account }) => ({ account, push: false })),
        });
        assert.deepEqual(
          deliveries.map((outcome) => outcome.kind === 'delivered' && [outcome.mailbox, outcome.uid]),
          everyone.map(({ inbox }) => [inbox, 1]),
        );
        for (const { inbox } of everyone.slice(1)) await removeAll(at.store, inbox, [1]);
        const bytes = await bytesOf(at.store, everyone[0]?.inbox ?? everyone[1]!.inbox, 1);
        assert.ok(bytes?.equals(message), `${size} bytes`);
        assert.equal((await at.store.accounts.quota(everyone[1]!.account)).used, 0);
        assert.equal((await at.store.accounts.quota(everyone[0]!.account)).used, size);
      }
    });

    test('an unknown UID or mailbox has no body, no header and no message', async () => {
      const mine = await at.account();
      const other = await at.account();
      await at.deliver(other);
      assert.equal(await at.store.messages.body(mine.inbox, 1), undefined);
      assert.equal((await at.store.messages.headers(mine.inbox, [1])).size, 0);
      assert.deepEqual(await at.store.messages.get(mine.inbox, [1, 7, 4_294_967_295]), []);
      const strange = 'no such mailbox' as typeof mine.inbox;
      assert.equal(await at.store.messages.body(strange, 1), undefined);
      assert.equal(await at.store.messages.snapshot(strange), undefined);
      assert.equal(await at.store.messages.append(strange, appended('x')), 'missing');
    });

    test('headers and messages of 500 UIDs come in one call, in order; more are refused', async () => {
      const mine = await at.account();
      const uids = await Promise.all(
        Array.from({ length: 500 }, (_, n) => at.deliver(mine, text(`body ${n}`))),
      );
      uids.sort((one, other) => one - other);
      const blocks = await at.store.messages.headers(mine.inbox, uids);
      assert.deepEqual(
        [...blocks.keys()].sort((one, other) => one - other),
        uids,
      );
      const messages = await at.store.messages.get(mine.inbox, uids.toReversed());
      assert.deepEqual(
        messages.map(({ uid }) => uid),
        uids,
      );
      await assert.rejects(async () => at.store.messages.get(mine.inbox, [...uids, 501]), RangeError);
      await assert.rejects(async () => at.store.messages.headers(mine.inbox, [...uids, 501]), RangeError);
    });

    test('APPEND keeps bytes, flags and dates', async () => {
      const mine = await at.account();
      const internalDate = Date.UTC(1999, 11, 31, 23, 59, 59);
      const result = await at.store.messages.append(mine.inbox, {
        ...appended('appended'),
        flags: ['\\Seen', '$Forwarded'],
        internalDate,
      });
      assert.ok(typeof result === 'object');
      const snapshot = await at.store.messages.snapshot(mine.inbox);
      assert.equal(result.uidValidity, snapshot?.uidValidity);
      const [message] = await at.store.messages.get(mine.inbox, [result.uid]);
      assert.deepEqual(message?.flags, ['\\Seen', '$Forwarded']);
      assert.equal(message?.internalDate, internalDate);
      assert.equal(message?.saveDate, start);
      assert.ok((await bytesOf(at.store, mine.inbox, result.uid))?.equals(text('appended')));
    });
  });
}

function appended(body: string) {
  const message = text(body);
  return { now: start, message, headerSize: headerSize(message), flags: [], internalDate: start };
}

async function removeAll(store: Store, inbox: Parameters<typeof bytesOf>[1], uids: number[]): Promise<void> {
  await store.messages.storeFlags(inbox, uids, { action: 'add', flags: ['\\Deleted'] });
  assert.deepEqual(await store.messages.expunge(inbox, uids), uids);
}
