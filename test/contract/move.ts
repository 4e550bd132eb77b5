import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { compare } from '../../src/move/compare.ts';
import { copyEverything } from '../../src/move/copy.ts';
import { MOVING } from '../../src/store/contract.ts';
import type {
  Account,
  ClaimWish,
  Message,
  MoveSource,
  MoveTarget,
  SignUpToken,
  Store,
  StoreOptions,
} from '../../src/store/contract.ts';
import { bytesOf, day, hour, mailbox, sized, start, text } from './fixture.ts';

/** Where a store keeps things; disposing of it removes them. */
export interface Place extends AsyncDisposable {
  openStore(options: StoreOptions): Promise<Store>;
  openSource(): Promise<MoveSource>;
  openTarget(): Promise<MoveTarget>;
}
export type MakePlace = () => Promise<Place>;

const options: StoreOptions = { quota: 100 * 1024 * 1024, onChange: () => {} };

/** Fills a store with some of everything there is. */
async function fill(place: Place): Promise<void> {
  await using store = await place.openStore(options);
  const accounts: Account[] = [];
  for (let n = 0; n < 4; n += 1) {
    const { account } = await store.accounts.create(`user${n}@example.org`, `hash ${n}`, start + n * day);
    accounts.push(account);
    await store.accounts.touch(account.id, start + (n + 2) * day);
  }
  const [alice, bob, carol] = accounts as [Account, Account, Account];
  await store.accounts.setAcceptsCleartext(bob.id, true);
  const deliver = (message: Buffer, to: readonly Account[], now: number, push = false) =>
    store.accept({
      now,
      message,
      headerSize: Math.min(6, message.length),
      deliveries: to.map(({ id }) => ({ account: id, push, flags: ['$Chat'] })),
    });
  for (const size of [100, 20, 9000, 300_000, 1_500_000])
    await deliver(sized(size), [alice, bob], start + size);
  const inbox = await mailbox(store, alice.id, 'INBOX');
  await store.mailboxes.create(alice.id, 'Größe/& mehr', start);
  await store.mailboxes.create(alice.id, 'empty', start);
  const folder = await mailbox(store, alice.id, 'Größe/& mehr');
  await store.mailboxes.subscribe(folder.id, true);
  await store.messages.storeFlags(inbox.id, [1, 3], {
    action: 'add',
    flags: ['\\Seen', 'Later', '\\Flagged'],
  });
  await store.messages.copy(inbox.id, [3, 4], folder.id, { move: false, now: start + hour });
  await store.messages.append(folder.id, {
    now: start + 2 * hour,
    message: text('appended'),
    headerSize: 43,
    flags: ['\\Draft'],
    internalDate: start - 400 * day,
  });
  // The last UIDs are gone, too: UIDNEXT is not what is there plus one.
  await store.messages.storeFlags(inbox.id, [2, 5], { action: 'set', flags: ['\\Deleted'] });
  await store.messages.expunge(inbox.id, 'all');
  // More than go in one lot.
  const inboxOfCarol = (await mailbox(store, carol.id, 'INBOX')).id;
  await deliver(text('of many'), [carol], start);
  for (let count = 1; count < 256; count *= 2) {
    const uids = Array.from({ length: count }, (_, n) => n + 1);
    await store.messages.copy(inboxOfCarol, uids, inboxOfCarol, { move: false, now: start });
  }
  await store.tokens.add(alice.id, 'token of alice', start);
  await store.tokens.add(bob.id, 'token of bob', start + 5);
  await store.tokens.add(bob.id, 'another of bob', start + 9);
  await store.tokens.add(carol.id, 'of carol', start);
  await deliver(text('wakes'), [alice, bob], start + day, true);
  const [claimed] = await store.pushJobs.claim(start + day, 1, hour);
  assert.ok(claimed);
  await store.pushJobs.settle(claimed, { kind: 'retry', at: start + 3 * day, againAt: start });
  await store.pushJobs.claim(start + day, 1, hour);
  await fillQueue(store, alice);
  await store.values.set('domain', 'example.org');
  await store.values.set('empty', '');
  for (const token of signUpTokens) await store.signUpTokens.add(token);
  const request = { hash: 'hash 1', address: 'user3@example.org', passwordHash: 'hash', now: start };
  assert.deepEqual(await store.signUpTokens.signUp(request), { kind: 'taken' });
}

const signUpTokens: readonly SignUpToken[] = [
  { uses: 5, used: 2, expiresAt: start + day, note: 'für Größe', createdAt: start },
  { uses: undefined, used: 7, expiresAt: undefined, note: '', createdAt: start + 1 },
].map((token, n) => ({ ...token, id: `id${n}`, hash: `hash ${n}` }));

const wish: ClaimWish = { limit: 99, perDestination: 99, rowsPerBatch: 99, leaseMs: hour, except: [] };

/** What `fillQueue` puts there. */
const queuedMail = new Map([
  ['fresh', sized(3000)],
  ['signed', text('signed and tried')],
  ['claimed', sized(500_000)],
]);

/** One that is new, one that was signed and failed at one of its destinations, one that somebody has. */
async function fillQueue(store: Store, alice: Account): Promise<void> {
  const put = (name: string, sender: string, addresses: readonly string[], now: number) =>
    store.accept({
      now,
      message: queuedMail.get(name)!,
      headerSize: 6,
      deliveries: name === 'claimed' ? [{ account: alice.id, push: false }] : [],
      outgoing: {
        sender,
        recipients: addresses.map((address) => ({ address, destination: address.split('@')[1]! })),
      },
    });
  await put('signed', alice.address, ['z@one.example', 'a@one.example', 'b@two.example'], start);
  for (const batch of await store.queue.claim(start, wish)) {
    if (batch.destination === 'one.example')
      await store.queue.keepSignature(batch.message, { keys: 'k', fields: 'DKIM-Signature: é\r\n' });
    await store.queue.settle(
      batch,
      batch.rows.map(({ recipient }) =>
        recipient === 'b@two.example'
          ? { kind: 'done' }
          : { kind: 'retry', at: start + hour, reason: `450 ${recipient}` },
      ),
    );
  }
  await put('claimed', '', ['c@three.example'], start + 1);
  assert.equal((await store.queue.claim(start + 1, wish)).length, 1);
  await put('fresh', alice.address, ['d@two.example', 'e@[192.0.2.1]'], start + 2);
}

/** All that waits, for people, in an order of its own; without when, for a claim ends with the move. */
async function waiting({ queue }: Store): Promise<unknown[]> {
  const destinations = await queue.destinations(10);
  const all = [];
  for (const { destination, rows, oldest } of destinations.toSorted((one, other) =>
    one.destination < other.destination ? -1 : 1,
  )) {
    const each = await queue.rows(destination, 10);
    const byRecipient = each.toSorted((one, other) => (one.recipient < other.recipient ? -1 : 1));
    all.push({ destination, rows, oldest, each: byRecipient.map(({ due: _, ...row }) => row) });
  }
  return all;
}

/** Their order is nobody's business. */
const sortedFlags = (message: Message) => ({ ...message, flags: [...message.flags].sort() });

async function move(from: Place, to: Place, wrap = (source: MoveSource) => source): Promise<void> {
  await using source = await from.openSource();
  await using target = await to.openTarget();
  await copyEverything({ source: wrap(source), target, name: 'a relay', tell: () => {} });
  const { differences, source: one, target: other } = await compare(source, target);
  assert.deepEqual(differences, []);
  assert.deepEqual(other, one);
  await target.finish();
}

/** That all of one store comes to be in another as it was, `from` and `to` being of any kind. */
export function moveSuite(
  name: string,
  makeFrom: MakePlace,
  makeTo: MakePlace,
  skip: string | false = false,
): void {
  describe(`a move ${name}`, { skip }, () => {
    let from: Place;
    before(async () => {
      from = await makeFrom();
      await fill(from);
    });
    after(() => from[Symbol.asyncDispose]());

    test('keeps everything that clients and the relay know, and changes nothing in the source', async () => {
      await using to = await makeTo();
      await move(from, to);
      // The second time the source is read by another program, so to speak: its own.
      await using old = await from.openStore(options);
      await using store = await to.openStore(options);
      for (let n = 0; n < 4; n += 1) {
        const address = `user${n}@example.org`;
        const [was, is] = await Promise.all([old.accounts.find(address), store.accounts.find(address)]);
        assert.ok(was && is);
        assert.deepEqual({ ...is, id: was.id }, was);
        assert.deepEqual(await store.accounts.quota(is.id), await old.accounts.quota(was.id));
        assert.deepEqual(await store.tokens.list(is.id, start), await old.tokens.list(was.id, start));
        const [boxes, newBoxes] = [await old.mailboxes.list(was.id), await store.mailboxes.list(is.id)];
        assert.deepEqual(
          newBoxes.map((box, index) => ({ ...box, id: boxes[index]?.id, account: was.id })),
          boxes,
        );
        for (const [index, box] of boxes.entries()) {
          const target = newBoxes[index]!.id;
          const [snapshot, newSnapshot] = [
            await old.messages.snapshot(box.id),
            await store.messages.snapshot(target),
          ];
          assert.ok(snapshot);
          assert.deepEqual(newSnapshot, snapshot);
          const [messages, newMessages] = [
            await old.messages.get(box.id, snapshot.uids),
            await store.messages.get(target, snapshot.uids),
          ];
          assert.deepEqual(newMessages.map(sortedFlags), messages.map(sortedFlags));
          for (const uid of snapshot.uids)
            assert.ok((await bytesOf(store, target, uid))?.equals((await bytesOf(old, box.id, uid))!));
          const { complete, uids } = await store.messages.expungedSince(target, snapshot.highestModseq);
          assert.deepEqual({ complete, uids }, { complete: true, uids: [] });
        }
      }
      assert.deepEqual(await store.signUpTokens.list(), signUpTokens);
      const queue = await waiting(store);
      assert.equal(queue.length, 4);
      assert.deepEqual(queue, await waiting(old));
      assert.deepEqual(await Promise.all(['domain', 'empty', MOVING].map((key) => store.values.get(key))), [
        'example.org',
        '',
        undefined,
      ]);
    });

    test('goes on in the new store where the old one was', async () => {
      await using to = await makeTo();
      await move(from, to);
      await using store = await to.openStore(options);
      const alice = (await store.accounts.find('user0@example.org'))!;
      const inbox = await mailbox(store, alice.id, 'INBOX');
      const { deliveries } = await store.accept({
        now: start + 10 * day,
        message: text('new'),
        headerSize: 6,
        deliveries: [{ account: alice.id, push: true }],
      });
      assert.deepEqual(deliveries, [
        { kind: 'delivered', mailbox: inbox.id, uid: inbox.uidNext, modseq: inbox.highestModseq + 1 },
      ]);
      // Of what was expunged under the old store nobody knows here, and it says so.
      assert.equal((await store.messages.expungedSince(inbox.id, 1)).complete, false);
      const folder = await mailbox(store, alice.id, 'Größe/& mehr');
      await store.mailboxes.remove(folder.id);
      await store.mailboxes.create(alice.id, 'Größe/& mehr', start);
      const highest = Math.max(
        ...(await store.mailboxes.list(alice.id)).map(({ uidValidity }) => uidValidity),
      );
      assert.equal((await mailbox(store, alice.id, 'Größe/& mehr')).uidValidity, highest);
      assert.ok(highest > folder.uidValidity);
      // Two had failed or were claimed, and all are due by now: nobody has them.
      const jobs = await store.pushJobs.claim(start + 10 * day, 10, hour);
      assert.deepEqual(jobs.map(({ token }) => token).sort(), [
        'another of bob',
        'token of alice',
        'token of bob',
      ]);
      // Nor has anybody what was claimed of the queue; what is not due yet keeps its time.
      const found: string[][] = [];
      for (const now of [start + hour - 1, start + hour])
        for (const batch of await store.queue.claim(now, { ...wish, leaseMs: day })) {
          const { destination, sender, queuedAt, signature, rows } = batch;
          await using body = await store.queue.body(batch.message);
          const bytes = await body?.read(0, body.size);
          const [name] = [...queuedMail].find(([, message]) => bytes?.equals(message)) ?? [];
          const when = now < start + hour ? 'at once' : 'later';
          const which = [
            when,
            name ?? '?',
            destination,
            sender,
            `${queuedAt - start}`,
            signature?.fields ?? '',
          ];
          found.push([...which, ...rows.map(({ recipient, attempts }) => `${recipient} ${attempts}`).sort()]);
          await store.queue.settle(
            batch,
            rows.map(() => ({ kind: 'done' })),
          );
        }
      assert.deepEqual(
        new Set(found),
        new Set([
          ['at once', 'claimed', 'three.example', '', '1', '', 'c@three.example 0'],
          ['at once', 'fresh', 'two.example', alice.address, '2', '', 'd@two.example 0'],
          ['at once', 'fresh', '[192.0.2.1]', alice.address, '2', '', 'e@[192.0.2.1] 0'],
          [
            ...['later', 'signed', 'one.example', alice.address, '0', 'DKIM-Signature: é\r\n'],
            ...['a@one.example 1', 'z@one.example 1'],
          ],
        ]),
      );
      assert.equal(await store.queue.nextDue([]), undefined);
    });

    test('that was killed among the queued mail puts none of it twice', async () => {
      await using to = await makeTo();
      for (const most of [1, 2]) {
        const queue = (source: MoveSource) =>
          async function* () {
            let put = 0;
            for await (const queued of source.queue()) {
              if ((put += 1) > most) throw new Error('killed');
              yield queued;
            }
          };
        await assert.rejects(
          move(from, to, (source) => ({ ...source, queue: queue(source) })),
          /^Error: killed$/,
        );
      }
      await move(from, to);
    });

    test('that was killed goes on, wherever that was, and ends with the same', async () => {
      await using to = await makeTo();
      // Each time it dies some reads further on; what was read before may or may not have been written.
      let killed = 0;
      for (let reads = 1; ; reads *= 2) {
        let left = reads;
        const dying = async function* <Item>(items: AsyncIterable<Item>) {
          for await (const item of items) {
            if ((left -= 1) < 0) throw new Error('killed');
            yield item;
          }
        };
        const wrap = (source: MoveSource): MoveSource => ({
          ...source,
          accounts: () => dying(source.accounts()),
          messages: (...which) => dying(source.messages(...which)),
          pushJobs: () => dying(source.pushJobs()),
          queue: () => dying(source.queue()),
        });
        const outcome = await move(from, to, wrap).catch((error: Error) => error.message);
        if (outcome === undefined) break;
        assert.equal(outcome, 'killed');
        killed += 1;
        await using store = await to.openStore(options);
        assert.equal(await store.values.get(MOVING), 'a relay', 'a relay that finds this must not serve it');
      }
      assert.ok(killed > 6);
      await using store = await to.openStore(options);
      assert.equal(await store.values.get(MOVING), undefined);
    });

    test('is refused while the source is served', async () => {
      await using store = await from.openStore(options);
      await store.ping();
      await assert.rejects(from.openSource(), /another Teal is running|a Teal serves/);
    });

    test('is refused into a store that holds anything, or that another is being moved to', async () => {
      await using to = await makeTo();
      {
        await using store = await to.openStore(options);
        await store.values.set('domain', 'example.org');
      }
      {
        await using target = await to.openTarget();
        await assert.rejects(target.begin('a relay'), /empty/);
      }
      await using queued = await makeTo();
      {
        await using store = await queued.openStore(options);
        const recipients = [{ address: 'a@one.example', destination: 'one.example' }];
        const message = text('waits');
        const outgoing = { sender: '', recipients };
        await store.accept({ now: start, message, headerSize: 6, deliveries: [], outgoing });
      }
      {
        await using target = await queued.openTarget();
        await assert.rejects(target.begin('a relay'), /empty/);
      }
      await using invited = await makeTo();
      {
        await using store = await invited.openStore(options);
        await store.signUpTokens.add(signUpTokens[0]!);
      }
      {
        await using target = await invited.openTarget();
        await assert.rejects(target.begin('a relay'), /empty/);
      }
      await using other = await makeTo();
      await using target = await other.openTarget();
      await target.begin('one');
      await target.begin('one');
      await assert.rejects(target.begin('another'), /being filled from one/);
    });
  });
}
