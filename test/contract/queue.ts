import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { MAX_EXCEPT, MAX_OUTGOING, MAX_REASON, MAX_SIGNATURE, OverQuota } from '../../src/store/contract.ts';
import type { ClaimWish, QueueBatch, QueuedId, RowOutcome } from '../../src/store/contract.ts';
import { bytesOf, headerSize, hour, MiB, minute, sized, start, text, useStore } from './fixture.ts';
import type { Inbox, OpenStore } from './fixture.ts';

const lease = minute;
const usual: ClaimWish = { limit: 100, perDestination: 100, rowsPerBatch: 100, leaseMs: lease, except: [] };
const done: RowOutcome = { kind: 'done' };

export function queueSuite(open: OpenStore): void {
  describe('the queue', () => {
    const quota = 2 * MiB;
    const at = useStore(open, quota);
    /** To addresses like `a@one.example`, whose domain is the destination. */
    const send = (
      to: readonly string[],
      {
        now = start,
        message = text(to.join()),
        local = [] as readonly Inbox[],
        sender = 's@example.org',
      } = {},
    ) =>
      at.store.accept({
        now,
        message,
        headerSize: headerSize(message),
        deliveries: local.map(({ account }) => ({ account, push: false })),
        outgoing: {
          sender,
          recipients: to.map((address) => ({
            address,
            destination: address.slice(address.indexOf('@') + 1),
          })),
        },
      });
    const claim = (now: number, wish: Partial<ClaimWish> = {}) =>
      at.store.queue.claim(now, { ...usual, ...wish });
    const only = async (now: number, wish: Partial<ClaimWish> = {}): Promise<QueueBatch> => {
      const batches = await claim(now, wish);
      assert.equal(batches.length, 1);
      return batches[0]!;
    };
    const settle = (batch: QueueBatch, outcome: RowOutcome = done) =>
      at.store.queue.settle(
        batch,
        batch.rows.map(() => outcome),
      );
    const settleAll = async (batches: readonly QueueBatch[]) => {
      for (const batch of batches) await settle(batch);
    };
    const recipients = ({ rows }: QueueBatch) => rows.map(({ recipient }) => recipient).sort();
    const bytes = async (message: QueuedId) => {
      await using body = await at.store.queue.body(message);
      return body && (await body.read(0, body.size));
    };
    const nothingLeft = async () => {
      assert.equal(await at.store.queue.nextDue([]), undefined);
      assert.deepEqual(await at.store.queue.destinations(10), []);
    };

    // What a test that failed has left is not the next one's trouble.
    afterEach(async () => {
      for (let left; (left = await claim(start + 1000 * hour)).length > 0;) await settleAll(left);
    });

    test('has a row for each recipient when the plan is accepted, due at once, beside the deliveries', async () => {
      const mine = await at.account();
      const message = text('to many');
      const to = ['a@one.example', 'b@two.example', 'c@one.example', 'd@[192.0.2.1]'];
      const { deliveries } = await send(to, { local: [mine], message, now: start + 5 });
      assert.equal(deliveries[0]?.kind, 'delivered');
      assert.equal(await at.store.queue.nextDue([]), start + 5);
      assert.deepEqual(await claim(start + 4), []);
      const batches = await claim(start + 5);
      const found = batches.map((batch) => [batch.destination, recipients(batch)] as const);
      assert.deepEqual(
        found.sort(([one], [other]) => (one < other ? -1 : 1)),
        [
          ['[192.0.2.1]', ['d@[192.0.2.1]']],
          ['one.example', ['a@one.example', 'c@one.example']],
          ['two.example', ['b@two.example']],
        ],
      );
      assert.equal(new Set(batches.flatMap(({ rows }) => rows.map(({ id }) => id))).size, to.length);
      for (const { message: id, rows, fence, ...batch } of batches) {
        assert.deepEqual(
          { ...batch, destination: '' },
          {
            destination: '',
            sender: 's@example.org',
            queuedAt: start + 5,
            size: message.length,
            headerSize: headerSize(message),
            signature: undefined,
          },
        );
        assert.ok(rows.every(({ attempts }) => attempts === 0));
        assert.ok(fence > 0);
        assert.ok((await bytes(id))?.equals(message));
      }
      assert.deepEqual(await claim(start + 5), [], 'nobody else gets them');
      assert.equal(await at.store.queue.nextDue([]), start + 5 + lease, 'leased rows count');
      await settleAll(batches);
      await nothingLeft();
    });

    test('is told of after it is durable, before the plan resolves; mail for here alone is no word of it', async () => {
      const mine = await at.account();
      const told = () => at.changes.filter(({ kind }) => kind === 'queue').length;
      const before = told();
      await at.deliver(mine);
      assert.equal(told(), before);
      let claimed: Promise<readonly QueueBatch[]> | undefined;
      at.listener = ({ kind }) => {
        if (kind === 'queue') claimed ??= claim(start);
      };
      await send(['a@told.example'], { local: [mine] });
      at.listener = undefined;
      assert.ok(claimed, 'told');
      const batches = await claimed;
      assert.deepEqual(batches.map(recipients), [['a@told.example']]);
      await settleAll(batches);
      await nothingLeft();
    });

    test('takes what is over quota here: only a plan with no recipients elsewhere is refused for that', async () => {
      const mine = await at.account();
      const message = sized(quota + 1);
      const { deliveries } = await send(['a@over.example'], { local: [mine], message });
      assert.deepEqual(deliveries, [{ kind: 'over-quota' }]);
      const batch = await only(start);
      assert.ok((await bytes(batch.message))?.equals(message));
      await settle(batch);
      const plan = {
        now: start,
        message,
        headerSize: 6,
        deliveries: [{ account: mine.account, push: false }],
      };
      await assert.rejects(at.store.accept(plan), OverQuota);
      await nothingLeft();
    });

    test('gives batches of one message at one destination, no more rows in each than asked for', async () => {
      await send(Array.from({ length: 5 }, (_, n) => `${n}@rows.example`));
      await send(['z@rows.example'], { now: start + 1 });
      const batches = await claim(start + 1, { rowsPerBatch: 2 });
      assert.deepEqual(
        batches.map(({ rows }) => rows.length),
        [2, 2, 1, 1],
      );
      assert.equal(new Set(batches.slice(0, 3).map(({ message }) => message)).size, 1);
      assert.deepEqual(recipients(batches[3]!), ['z@rows.example']);
      assert.equal(new Set(batches.flatMap(recipients)).size, 6);
      await settleAll(batches);
      await nothingLeft();
    });

    test('gives as many batches as asked for, over all and of one destination, and none of the excepted', async () => {
      for (let n = 0; n < 4; n += 1)
        await send(['one', 'two', 'three'].map((name) => `${n}@${name}.example`));
      assert.equal((await claim(start, { limit: 0 })).length, 0);
      const few = await claim(start, { perDestination: 1, limit: 2 });
      assert.equal(new Set(few.map(({ destination }) => destination)).size, 2);
      assert.equal(few.length, 2);
      const rest = await claim(start, { except: ['one.example', 'three.example', 'nowhere.example'] });
      assert.ok(rest.length >= 3 && rest.every(({ destination }) => destination === 'two.example'));
      const except = ['two.example', 'one.example'];
      assert.equal(await at.store.queue.nextDue(except), start);
      assert.equal(await at.store.queue.nextDue([...except, 'three.example']), undefined);
      const others = await claim(start, { perDestination: 2 });
      for (const name of ['one.example', 'three.example'])
        assert.equal(others.filter(({ destination }) => destination === name).length, 2);
      await settleAll([...few, ...rest, ...others, ...(await claim(start))]);
      await nothingLeft();
    });

    test('gives of some destinations alone, the one that has been due the longest first', async () => {
      for (const [n, name] of ['one', 'two', 'three', 'four'].entries())
        await send([`a@${name}.example`], { now: start + n });
      const wanted = ['four.example', 'nowhere.example', 'two.example', 'three.example'];
      assert.deepEqual(await claim(start + 9, { only: [] }), []);
      const first = await claim(start + 9, { only: wanted, except: ['three.example'], limit: 1 });
      assert.deepEqual(first.map(recipients), [['a@two.example']]);
      assert.deepEqual(await claim(start + 2, { only: ['four.example'] }), [], 'it is not due');
      const rest = await claim(start + 9, { only: wanted });
      assert.deepEqual(rest.map(recipients), [['a@three.example'], ['a@four.example']]);
      await settleAll([...first, ...rest, ...(await claim(start + 9))]);
      await nothingLeft();
    });

    test('gives first what has been due the longest', async () => {
      await send(['2@late.example'], { now: start + 10 });
      await send(['1@early.example', '3@late.example'], { now: start + 5 });
      await send(['4@early.example'], { now: start + 20 });
      await send(['5@middle.example'], { now: start + 7 });
      const batches = await claim(start + 20);
      const order = batches.map((batch) => recipients(batch)[0]);
      assert.deepEqual(order.slice(0, 4).sort(), [
        '1@early.example',
        '2@late.example',
        '3@late.example',
        '4@early.example',
      ]);
      assert.equal(order[4], '5@middle.example');
      assert.ok(order.indexOf('1@early.example') < order.indexOf('4@early.example'));
      assert.ok(order.indexOf('3@late.example') < order.indexOf('2@late.example'));
      await settleAll(batches);
      await nothingLeft();
    });

    test('takes a claim back when its lease ends, and fences off whoever still has it', async () => {
      await send(['a@lease.example', 'b@lease.example']);
      const old = await only(start);
      assert.deepEqual(await claim(start + lease - 1), []);
      const current = await only(start + lease);
      assert.ok(current.fence > old.fence);
      await settle(old);
      await settle(old, { kind: 'retry', at: start, reason: 'late' });
      assert.equal(await at.store.queue.nextDue([]), start + 2 * lease);
      await settle(current, { kind: 'retry', at: start + hour, reason: 'mine' });
      await settle(current);
      await settle(old);
      assert.equal(await at.store.queue.nextDue([]), start + hour, 'a claim is settled once');
      const last = await only(start + hour);
      assert.ok(last.fence > current.fence);
      assert.deepEqual(
        last.rows.map(({ attempts }) => attempts),
        [1, 1],
        'a lease that ended is no attempt',
      );
      await settle(last);
      await settle(last, { kind: 'retry', at: start, reason: '' });
      await nothingLeft();
    });

    test('renews claims, all in one call: they end later, and never sooner', async () => {
      await send(['a@one.example', 'b@one.example', 'c@two.example']);
      // Two of them have one message and one destination.
      const [left, ...renewed] = await claim(start, { rowsPerBatch: 1 });
      assert.ok(left);
      assert.equal(renewed.length, 2);
      assert.deepEqual(await at.store.queue.renew(start + lease / 2, renewed, lease), []);
      const again = await only(start + lease);
      assert.deepEqual(recipients(again), recipients(left), 'the one that was not renewed');
      await settle(again);
      assert.deepEqual(await at.store.queue.renew(start + lease / 2, renewed, 1), []);
      assert.equal(await at.store.queue.nextDue([]), start + 1.5 * lease);
      assert.deepEqual(await claim(start + 1.5 * lease - 1), []);
      const late = await claim(start + 1.5 * lease);
      assert.equal(late.length, 2);
      assert.deepEqual(await at.store.queue.renew(start, [], lease), []);
      await settleAll(late);
      await nothingLeft();
    });

    test('renews a claim whose lease is over unless somebody else has the rows: then it is lost', async () => {
      await send(['a@lost.example', 'b@lost.example', 'c@kept.example']);
      const mine = await claim(start);
      const lost = mine.find(({ destination }) => destination === 'lost.example')!;
      const kept = mine.find(({ destination }) => destination === 'kept.example')!;
      const renew = (now: number, ...batches: QueueBatch[]) => at.store.queue.renew(now, batches, lease);
      assert.deepEqual(await renew(start + 2 * lease, ...mine), []);
      assert.deepEqual(await claim(start + 3 * lease - 1), [], 'it holds again');
      const other = await only(start + 3 * lease, { except: ['kept.example'] });
      assert.deepEqual(await renew(start + 5 * lease, lost, kept), [lost]);
      assert.equal(
        await at.store.queue.nextDue([]),
        start + 4 * lease,
        'the other’s lease is as long as it was',
      );
      assert.deepEqual(await renew(start + 3 * lease, kept, other, lost), [lost]);
      await settle(lost);
      await settle(other, { kind: 'retry', at: start + hour, reason: '' });
      assert.deepEqual(
        await renew(start + 3 * lease, other, lost),
        [other, lost],
        'what is settled is held no more',
      );
      await settle(kept);
      const last = await only(start + hour);
      await settle(last);
      assert.deepEqual(await renew(start + hour, kept, last), [kept, last]);
      await nothingLeft();
    });

    test('a claim of which another has a part is lost', async () => {
      await send(['a@part.example', 'b@part.example']);
      const mine = await only(start);
      const other = await only(start + lease, { rowsPerBatch: 1, limit: 1 });
      assert.deepEqual(await at.store.queue.renew(start + lease, [mine], lease), [mine]);
      const rest = await only(start + 2 * lease, { except: [], limit: 1 });
      assert.ok(rest.rows.length > 0);
      await settleAll([other, rest, ...(await claim(start + 3 * lease))]);
      await nothingLeft();
    });

    test('renews as many as may be under way, and finds those that are lost among them', async () => {
      const many = (lot: number) => Array.from({ length: MAX_OUTGOING }, (_, n) => `${n}@lot${lot}.example`);
      for (const lot of [1, 2, 3]) await send(many(lot));
      const batches = await claim(start);
      assert.equal(batches.length, 30);
      const settled = [batches[0]!, batches[17]!, batches[29]!];
      await settleAll(settled);
      assert.deepEqual(await at.store.queue.renew(start + 1, batches, 2 * lease), settled);
      assert.deepEqual(await claim(start + 2 * lease), []);
      assert.equal(await at.store.queue.nextDue([]), start + 1 + 2 * lease);
      await settleAll(batches);
      await nothingLeft();
    });

    test('settles each row by itself: done goes, retry is due at its time with one attempt more', async () => {
      await send(['a@each.example', 'b@each.example', 'c@each.example']);
      const first = await only(start);
      await at.store.queue.settle(
        first,
        first.rows.map(({ recipient }) =>
          recipient === 'b@each.example'
            ? done
            : { kind: 'retry', at: start + minute, reason: `450 ${recipient}` },
        ),
      );
      assert.equal(await at.store.queue.nextDue([]), start + minute);
      assert.deepEqual(await claim(start + minute - 1), []);
      const second = await only(start + minute);
      assert.deepEqual(recipients(second), ['a@each.example', 'c@each.example']);
      assert.deepEqual(
        second.rows.map(({ attempts }) => attempts),
        [1, 1],
      );
      // From here on the two have times of their own.
      await at.store.queue.settle(
        second,
        second.rows.map(({ recipient }) => ({
          kind: 'retry',
          at: start + (recipient === 'a@each.example' ? 2.5 : 2) * minute,
          reason: 'later',
        })),
      );
      const c = await only(start + 2 * minute);
      assert.deepEqual(recipients(c), ['c@each.example']);
      const a = await only(start + 2.5 * minute);
      assert.deepEqual(recipients(a), ['a@each.example'], 'the other is still claimed');
      assert.equal(a.rows[0]?.attempts, 2);
      await settleAll([a, c]);
      await nothingLeft();
    });

    for (const [where, message] of [
      ['small', text('small')],
      ['middling', sized(100_000)],
      ['big', sized(600_000)],
    ] as const)
      test(`keeps a ${where} message until its last row and its last copy in a mailbox are gone`, async () => {
        const mine = await at.account();
        const send2 = () => send(['a@one.example', 'b@two.example'], { local: [mine], message });
        const expunge = async (uid: number) => {
          await at.store.messages.storeFlags(mine.inbox, [uid], { action: 'add', flags: ['\\Deleted'] });
          await at.store.messages.expunge(mine.inbox, [uid]);
        };
        // The mailbox first, then the queue.
        await send2();
        const [one, two] = await claim(start);
        assert.ok(one && two);
        await expunge(1);
        await settle(one);
        assert.ok((await bytes(two.message))?.equals(message));
        const reading = await at.store.queue.body(two.message);
        await settle(two);
        assert.ok((await reading?.read(0, message.length))?.equals(message), 'readable to the end');
        await reading?.[Symbol.asyncDispose]();
        assert.equal(await at.store.queue.body(two.message), undefined);
        // The queue first, then the mailbox.
        await send2();
        const batches = await claim(start);
        await settleAll(batches);
        assert.equal(await at.store.queue.body(batches[0]!.message), undefined);
        assert.ok((await bytesOf(at.store, mine.inbox, 2))?.equals(message));
        await expunge(2);
        assert.equal(await bytesOf(at.store, mine.inbox, 2), undefined);
        // The account removed while mail of it is on its way.
        await send2();
        await at.store.accounts.remove(mine.account);
        const last = await claim(start);
        for (const { message: id } of last) assert.ok((await bytes(id))?.equals(message));
        await settleAll(last);
        await nothingLeft();
      });

    test('keeps what a message was signed with for every later batch, and a newer one in its place', async () => {
      await send(['a@one.example', 'b@two.example']);
      const [one, two] = await claim(start);
      assert.ok(one && two);
      const signature = { keys: 'k1 k2', fields: 'DKIM-Signature: v=1;\r\n\tb=é\r\n' };
      await at.store.queue.keepSignature(one.message, signature);
      await settle(one);
      await settle(two, { kind: 'retry', at: start + 1, reason: '' });
      const later = await only(start + 1);
      assert.deepEqual(later.signature, signature);
      const longest = { keys: 'k3', fields: 'x'.repeat(MAX_SIGNATURE) };
      await at.store.queue.keepSignature(later.message, longest);
      await assert.rejects(
        at.store.queue.keepSignature(later.message, { keys: 'k4', fields: `${longest.fields}x` }),
        RangeError,
      );
      const last = await only(start + 1 + lease);
      assert.deepEqual(last.signature, longest);
      await settle(last);
      await at.store.queue.keepSignature(last.message, signature);
      await nothingLeft();
    });

    test('shows people what waits: destinations by their oldest mail, rows with the last reason', async () => {
      await send(['a@old.example', 'b@new.example'], { sender: '' });
      const claimed = await claim(start);
      for (const batch of claimed)
        await settle(batch, { kind: 'retry', at: start + hour, reason: '450 4.2.0 é later' });
      await send(['c@old.example', 'd@newest.example'], { now: start + minute });
      await send(['e@old.example'], { now: start + 2 * minute });
      const size = text('a@old.example,b@new.example').length;
      const all = await at.store.queue.destinations(10);
      assert.deepEqual(
        all.slice().sort((one, other) => one.oldest - other.oldest || other.rows - one.rows),
        [
          { destination: 'old.example', rows: 3, oldest: start, nextDue: start + minute },
          { destination: 'new.example', rows: 1, oldest: start, nextDue: start + hour },
          { destination: 'newest.example', rows: 1, oldest: start + minute, nextDue: start + minute },
        ],
      );
      assert.deepEqual(
        (await at.store.queue.destinations(2)).map(({ oldest }) => oldest),
        [start, start],
      );
      const rows = await at.store.queue.rows('old.example', 2);
      assert.deepEqual(rows[0], {
        recipient: 'a@old.example',
        sender: '',
        queuedAt: start,
        size,
        attempts: 1,
        due: start + hour,
        reason: '450 4.2.0 é later',
      });
      assert.deepEqual(
        rows.map(({ recipient, reason }) => [recipient, reason.slice(0, 3)]),
        [
          ['a@old.example', '450'],
          ['c@old.example', ''],
        ],
      );
      assert.deepEqual(await at.store.queue.rows('nowhere.example', 10), []);
      await settleAll(await claim(start + hour));
      await nothingLeft();
    });

    test('cuts a reason that is too long', async () => {
      await send(['a@reason.example']);
      await settle(await only(start), { kind: 'retry', at: start, reason: 'r'.repeat(MAX_REASON + 1) });
      const [row] = await at.store.queue.rows('reason.example', 1);
      assert.equal(row?.reason, 'r'.repeat(MAX_REASON));
      await settle(await only(start));
      await nothingLeft();
    });

    test('is bounded: recipients of a plan, destinations in `except`', async () => {
      const many = (length: number) => Array.from({ length }, (_, n) => `${n}@many.example`);
      await assert.rejects(send(many(MAX_OUTGOING + 1)), RangeError);
      await assert.rejects(send([]), RangeError);
      await nothingLeft();
      await send(many(MAX_OUTGOING));
      const except = many(MAX_EXCEPT);
      await assert.rejects(claim(start, { except: [...except, 'x'] }), RangeError);
      await assert.rejects(claim(start, { only: [...except, 'x'] }), RangeError);
      await assert.rejects(at.store.queue.nextDue([...except, 'x']), RangeError);
      assert.equal(await at.store.queue.nextDue(except), start);
      const batch = await only(start, { except, rowsPerBatch: MAX_OUTGOING });
      assert.equal(new Set(recipients(batch)).size, MAX_OUTGOING);
      await settle(batch);
      await nothingLeft();
    });

    test('of many who claim at once nobody gets what another has', async () => {
      for (let n = 0; n < 10; n += 1) await send(['a', 'b', 'c'].map((name) => `${n}@${name}.example`));
      const claimed = await Promise.all(
        Array.from({ length: 5 }, () => claim(start, { limit: 6, perDestination: 4 })),
      );
      const batches = claimed.flat();
      assert.ok(claimed.every(({ length }) => length <= 6));
      assert.equal(new Set(batches.flatMap(recipients)).size, batches.length);
      const rest = await claim(start);
      assert.equal(new Set([...batches, ...rest].flatMap(recipients)).size, 30);
      await settleAll([...batches, ...rest]);
      await nothingLeft();
    });

    test('a large claim gives all that it was asked for, of each destination its share', async () => {
      // More than one slice of any store: 3 destinations with 400 messages each.
      for (let lot = 0; lot < 8; lot += 1)
        await Promise.all(
          Array.from({ length: 50 }, (_, n) =>
            send(['a', 'b', 'c'].map((name) => `${lot}.${n}@${name}.example`)),
          ),
        );
      const batches = await claim(start, { limit: 900, perDestination: 350 });
      assert.equal(batches.length, 900);
      assert.equal(new Set(batches.flatMap(recipients)).size, 900);
      const per = ['a', 'b', 'c'].map(
        (name) => batches.filter(({ destination }) => destination === `${name}.example`).length,
      );
      assert.deepEqual(per.sort(), [200, 350, 350]);
      const rest = await claim(start, { limit: 1000, perDestination: 1000 });
      assert.equal(rest.length, 300);
      await Promise.all([...batches, ...rest].map((batch) => settle(batch)));
      await nothingLeft();
    });
  });
}
