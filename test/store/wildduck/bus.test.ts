import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccountId, Change, MailboxId } from '../../../src/store/contract.ts';
import { createBus } from '../../../src/store/wildduck/bus.ts';
import type { Bus, Subscriber } from '../../../src/store/wildduck/bus.ts';
import { catchUpOf } from '../../../src/store/wildduck/changes-since.ts';
import type { CatchUp, MailboxChange, Position } from '../../../src/store/wildduck/followed-mailbox.ts';
import { createTestClock } from '../../harness/clock.ts';
import type { TestClock } from '../../harness/clock.ts';

const account = 'account' as AccountId;
const inbox = 'inbox' as MailboxId;
const common = { account, mailbox: inbox };

/** A mailbox in a database that all processes read: each write has the next modseq. */
function createDatabase() {
  const messages = new Map<number, { modseq: number; flags: readonly string[] }>();
  const expunged: { uid: number; modseq: number }[] = [];
  let uidNext = 1;
  const database = {
    modseq: 0,
    reads: 0,
    /** Modseqs that are counted but not there yet. */
    away: false,
    removed: false,
    write(kind: 'exists' | 'flags' | 'expunge', wanted = 0, origin?: string): MailboxChange {
      database.modseq += 1;
      const { modseq } = database;
      const from = origin === undefined ? {} : { origin };
      if (kind === 'exists') {
        const uid = uidNext++;
        messages.set(uid, { modseq, flags: [] });
        return { kind, ...common, modseq, uid, flags: [], ...from };
      }
      if (kind === 'flags') {
        const flags = [`k${modseq}`];
        if (messages.has(wanted)) messages.set(wanted, { modseq, flags });
        return { kind, ...common, modseq, messages: [{ uid: wanted, flags }], ...from };
      }
      messages.delete(wanted);
      expunged.push({ uid: wanted, modseq });
      return { kind, ...common, modseq, uids: [wanted], ...from };
    },
    uids: () => [...messages.keys()],
    flags: (uid: number) => messages.get(uid)?.flags,
    snapshot: () => ({
      uidValidity: 1,
      uidNext,
      highestModseq: database.modseq,
      uids: [...messages.keys()],
      firstUnseen: undefined,
    }),
    async changesSince(this: void, position: Position): Promise<CatchUp | undefined> {
      database.reads += 1;
      if (database.away) throw new Error('away');
      if (database.removed) return undefined;
      const counters = { highest: database.modseq, uidNext };
      await new Promise(setImmediate);
      const wanted = ({ modseq }: { modseq: number }) =>
        modseq > position.told || position.missed.includes(modseq);
      const rows = [...messages].map(([uid, message]) => ({ uid, ...message })).filter(wanted);
      await new Promise(setImmediate);
      return catchUpOf(position, { ...counters, messages: rows, expunges: expunged.filter(wanted) });
    },
  };
  return database;
}
type Database = ReturnType<typeof createDatabase>;

/** Redis: brings each message to everybody, when the test lets it. */
function createHub() {
  const listeners = new Set<(message: string) => void>();
  const hub = {
    /** What becomes of a message: brought at once unless said. */
    carry: (bring: () => void, _message: string): void => bring(),
    down: false,
    messages: 0,
    subscribers: [] as {
      ready: () => void;
      close: () => void;
      pings: number;
      reconnects: number;
      dead: boolean;
    }[],
    publisher: {
      publish: async (_channel: string, message: string) => {
        if (hub.down) throw new Error('no connection');
        hub.messages += 1;
        for (const listener of listeners) hub.carry(() => listener(message), message);
      },
    },
    subscriber(): Subscriber {
      const on = new Map<string, (...values: never[]) => void>();
      let listening = false;
      const control = {
        pings: 0,
        reconnects: 0,
        dead: false,
        ready: () => (on.get('ready') as () => void)(),
        close: () => {
          listening = false;
          (on.get('close') as () => void)();
        },
      };
      hub.subscribers.push(control);
      listeners.add((message) => {
        if (listening) (on.get('message') as (channel: string, message: string) => void)('channel', message);
      });
      return {
        status: 'ready',
        on: (event: string, listener: (...values: never[]) => void) => on.set(event, listener),
        subscribe: async () => (listening = true),
        ping: async () => {
          control.pings += 1;
          if (control.dead) throw new Error('no answer');
        },
        disconnect: (reconnect = false) => {
          listening = false;
          if (reconnect) control.reconnects += 1;
        },
      };
    },
  };
  return hub;
}

interface Process extends AsyncDisposable {
  readonly bus: Bus;
  readonly told: Change[];
  readonly faults: string[];
}

async function createProcess(
  name: string,
  { database, hub, clock }: { database: Database; hub: ReturnType<typeof createHub>; clock: TestClock },
  onChange?: (change: Change) => void,
): Promise<Process> {
  const told: Change[] = [];
  const faults: string[] = [];
  const bus = createBus({
    publisher: hub.publisher,
    subscriber: hub.subscriber(),
    channel: 'channel',
    process: name,
    clock,
    onChange: (change) => {
      told.push(change);
      onChange?.(change);
    },
    onFault: (where) => faults.push(where),
    changesSince: database.changesSince,
    accountOf: async () => account,
    highestModseqs: async (ids) => {
      if (database.away) throw new Error('away');
      return database.removed ? new Map() : new Map(ids.map((id) => [id, database.modseq]));
    },
  });
  await turn();
  return { bus, told, faults, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() };
}

/** Lets everything that needs no clock happen. */
async function turn(): Promise<void> {
  for (let n = 0; n < 10; n += 1) await new Promise(setImmediate);
}

const follow = (process: Process, database: Database) =>
  process.bus.follow(inbox, async () => database.snapshot());
const modseqs = (told: readonly Change[]) =>
  told.flatMap((change) => ('modseq' in change ? [change.modseq] : []));

async function world() {
  const clock = createTestClock();
  const database = createDatabase();
  const hub = createHub();
  const a = await createProcess('a', { clock, database, hub });
  const b = await createProcess('b', { clock, database, hub });
  return { clock, database, hub, a, b };
}

describe('the bus', () => {
  test('tells its own process in the same turn, and the others with the next message', async () => {
    const { database, a, b } = await world();
    await follow(a, database);
    await follow(b, database);
    const change = database.write('exists', 0, 'session');
    void a.bus.tell([change, { kind: 'push' }]);
    assert.deepEqual(a.told, [change, { kind: 'push' }]);
    await turn();
    assert.deepEqual(b.told, [change], 'push jobs are each process’s own to look for');
    assert.deepEqual(a.told.length, 2, 'its own message comes back and says nothing new');
    assert.equal(database.reads, 0);
  });

  test('of a mailbox that nobody looks at, changes pass as they come', async () => {
    const { database, a, b } = await world();
    const changes = [database.write('exists'), database.write('exists'), database.write('flags', 1)];
    await a.bus.tell([changes[0]!, changes[2]!]);
    await turn();
    assert.deepEqual(b.told, [changes[0], changes[2]]);
    assert.equal(database.reads, 0);
  });

  test('what a message brings too early waits a moment for what is before it', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(b, database);
    const late: (() => void)[] = [];
    const [first, second] = [database.write('exists'), database.write('exists')];
    hub.carry = (bring) => late.push(bring);
    await a.bus.tell([first]);
    hub.carry = (bring) => bring();
    await a.bus.tell([second]);
    await turn();
    assert.deepEqual(b.told, []);
    for (const bring of late) bring();
    clock.advance(50);
    await turn();
    assert.deepEqual(b.told, [first, second]);
    assert.equal(database.reads, 0, 'the database was not asked');
  });

  test('what a message lost is read, and told in its place; what comes then is not told again', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(b, database);
    const late: (() => void)[] = [];
    hub.carry = (bring) => late.push(bring);
    for (let n = 0; n < 3; n += 1) await a.bus.tell([database.write('exists')]);
    await a.bus.tell([database.write('expunge', 2)]);
    await a.bus.tell([database.write('flags', 1)]);
    hub.carry = (bring) => bring();
    const last = database.write('flags', 3, 'session');
    await a.bus.tell([last]);
    clock.advance(50);
    await turn();
    for (const bring of late) bring();
    await turn();
    clock.advance(50);
    await turn();
    assert.deepEqual(
      b.told.map((change) => [change.kind, 'modseq' in change && change.modseq]),
      [
        ['expunge', 4],
        ['exists', 5],
        ['exists', 6],
      ],
      'each message once, as it is now',
    );
    const heard = replay(b.told);
    assert.deepEqual([...heard.keys()], database.uids());
    for (const [uid, flags] of heard) assert.deepEqual(flags, database.flags(uid));
  });

  test('a change of its own does not overtake what another process did before it', async () => {
    const { database, hub, a, b } = await world();
    await follow(b, database);
    hub.carry = () => {};
    const [theirs, mine] = [database.write('exists'), database.write('exists', 0, 'mine')];
    await a.bus.tell([theirs]);
    await b.bus.tell([mine, { kind: 'push' }]);
    assert.deepEqual(
      b.told,
      [theirs, mine, { kind: 'push' }],
      'told when the promise resolves, in order, the push last',
    );
    assert.equal(database.reads, 1);
  });

  test('Redis away and back: what was said meanwhile is found, on both sides', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(a, database);
    await follow(b, database);
    hub.down = true;
    for (const { close } of hub.subscribers) close();
    assert.equal(a.bus.connected, false);
    const changes = [database.write('exists'), database.write('exists'), database.write('flags', 1)];
    await a.bus.tell(changes);
    assert.deepEqual(a.told, changes, 'this process needs no Redis');
    assert.deepEqual(b.told, []);
    hub.down = false;
    for (const { ready } of hub.subscribers) ready();
    await turn();
    clock.advance(50);
    await turn();
    assert.equal(b.bus.connected, true);
    assert.deepEqual([...replay(b.told).keys()], [1, 2]);
    assert.deepEqual(modseqs(b.told), [2, 2]);
    assert.deepEqual(b.faults, []);
  });

  test('what only the one who said it knows to be unsaid is said when Redis is back', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(b, database);
    hub.down = true;
    await a.bus.tell([database.write('exists')]);
    await turn();
    hub.down = false;
    hub.subscribers[0]!.close();
    hub.subscribers[0]!.ready();
    await turn();
    clock.advance(50);
    await turn();
    assert.deepEqual(modseqs(b.told), [1]);
  });

  test('a connection that does not answer within seconds counts as none, and is made anew', async () => {
    const { hub, clock, b } = await world();
    clock.advance(2000);
    await turn();
    assert.equal(hub.subscribers[1]!.pings, 1);
    assert.ok(b.bus.connected);
    hub.subscribers[1]!.dead = true;
    clock.advance(2000);
    await turn();
    assert.equal(hub.subscribers[1]!.pings, 2);
    assert.equal(hub.subscribers[1]!.reconnects, 1);
    assert.ok(!b.bus.connected);
    hub.subscribers[1]!.dead = false;
    hub.subscribers[1]!.ready();
    await turn();
    assert.ok(b.bus.connected);
    clock.advance(2000);
    await turn();
    assert.equal(hub.subscribers[1]!.pings, 3);
  });

  test('once a minute all that is followed is looked at', async () => {
    const { database, clock, b } = await world();
    await follow(b, database);
    database.write('exists');
    clock.advance(60_000);
    await turn();
    assert.deepEqual(modseqs(b.told), [1]);
    database.removed = true;
    await clock.timersSet(4);
    clock.advance(60_000);
    await turn();
    assert.deepEqual(b.told.at(-1), { kind: 'mailbox-removed', account, mailbox: inbox });
    assert.equal(b.bus.following, 0);
  });

  test('the database away: changes are told as they come, and what is between later', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(b, database);
    hub.carry = () => {};
    const lost = database.write('exists');
    await a.bus.tell([lost]);
    hub.carry = (bring) => bring();
    database.away = true;
    const heard = database.write('exists');
    await a.bus.tell([heard]);
    await turn();
    clock.advance(50);
    await turn();
    assert.deepEqual(b.told, [heard]);
    assert.deepEqual(b.faults, ['store bus']);
    database.away = false;
    await b.bus.lookAtAll();
    assert.deepEqual(new Set(modseqs(b.told)), new Set([1, 2]));
  });

  test('a modseq that was counted before its message was there is told when it comes', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(b, database);
    // WildDuck's own programs take a number first and write then.
    const taken = (database.modseq += 1);
    await b.bus.look(account);
    assert.deepEqual(b.told, []);
    const { modseq } = database;
    database.modseq = taken - 1;
    const change = database.write('exists');
    database.modseq = modseq;
    await a.bus.tell([change]);
    await turn();
    clock.advance(50);
    await turn();
    assert.deepEqual(b.told, [change]);
    assert.equal(hub.messages, 1);
  });

  test('a mailbox is read and followed without a gap, whatever is told meanwhile', async () => {
    const { database, a } = await world();
    let finish = () => {};
    const read = new Promise<void>((resolve) => (finish = resolve));
    database.write('exists');
    const followed = a.bus.follow(inbox, async () => {
      const looked = database.snapshot();
      await read;
      return looked;
    });
    const change = database.write('exists');
    const told = a.bus.tell([change]);
    assert.deepEqual(a.told, []);
    finish();
    assert.equal((await followed)?.highestModseq, 1);
    await told;
    assert.deepEqual(a.told, [change]);
    await assert.rejects(
      a.bus.follow('other' as MailboxId, () => Promise.reject(new Error('away'))),
      /away/,
    );
    assert.equal(await a.bus.follow('gone' as MailboxId, async () => undefined), undefined);
    assert.equal(a.bus.following, 1);
  });

  test('a long change is not sent: where to look is enough', async () => {
    const { database, hub, clock, a, b } = await world();
    await follow(b, database);
    const sent: string[] = [];
    hub.carry = (bring, message) => {
      sent.push(message);
      bring();
    };
    const change = database.write('exists');
    assert.ok(change.kind === 'exists');
    await a.bus.tell([{ ...change, flags: Array.from({ length: 5000 }, (_, n) => `flag${n}`) }]);
    await turn();
    clock.advance(50);
    await turn();
    assert.deepEqual(modseqs(b.told), [1]);
    assert.ok(sent.every(({ length }) => length < 300));
  });

  test('nonsense on the channel and listeners that throw are faults, nothing more', async () => {
    const clock = createTestClock();
    const database = createDatabase();
    const hub = createHub();
    const a = await createProcess('a', { clock, database, hub }, () => {
      throw new Error('listener');
    });
    await hub.publisher.publish('channel', 'no JSON');
    await a.bus.tell([database.write('exists')]);
    assert.deepEqual(a.faults, ['store bus', 'store change']);
  });

  test('under load, with messages lost, late and in any order, everybody ends with what is there, each told once and in order', async () => {
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    for (let round = 0; round < 20; round += 1) {
      const { database, hub, clock, a, b } = await world();
      const processes = [a, b];
      const late: (() => void)[] = [];
      hub.carry = (bring) => {
        const chance = random();
        if (chance < 0.6) bring();
        else if (chance < 0.85) late.push(bring);
      };
      for (const process of processes) await follow(process, database);
      const busy: Promise<void>[] = [];
      for (let n = 0; n < 60; n += 1) {
        const uids = database.uids();
        const uid = uids[Math.floor(random() * uids.length)] ?? 0;
        const chance = random();
        const change = database.write(
          chance < 0.5 || uid === 0 ? 'exists' : chance < 0.8 ? 'flags' : 'expunge',
          uid,
        );
        busy.push(processes[n % 2]!.bus.tell([change]));
        if (random() < 0.2) late.splice(Math.floor(random() * late.length), 1)[0]?.();
        if (random() < 0.2) clock.advance(50);
        if (random() < 0.3) await new Promise(setImmediate);
      }
      for (const bring of late) bring();
      await Promise.all(busy);
      await turn();
      clock.advance(50);
      await turn();
      for (const process of processes) await process.bus.lookAtAll();
      for (const [name, { told }] of [a, b].entries()) {
        const numbers = modseqs(told);
        assert.deepEqual(
          numbers,
          numbers.toSorted((one, other) => one - other),
          `round ${round}, process ${name}`,
        );
        const arrived = told.flatMap((change) => (change.kind === 'exists' ? [change.uid] : []));
        assert.deepEqual(
          arrived,
          [...new Set(arrived)].sort((one, other) => one - other),
          'messages arrive once, by UID',
        );
        const heard = replay(told);
        assert.deepEqual([...heard.keys()].sort(), database.uids().sort());
        for (const [uid, flags] of heard)
          assert.deepEqual(flags, database.flags(uid), `round ${round}: flags of ${uid}`);
      }
    }
  });
});

/** The messages of a mailbox, as one who only heard of its changes knows them. */
function replay(changes: readonly Change[]): Map<number, readonly string[]> {
  const known = new Map<number, readonly string[]>();
  for (const change of changes) {
    if (change.kind === 'exists') known.set(change.uid, change.flags);
    if (change.kind === 'flags')
      for (const { uid, flags } of change.messages) if (known.has(uid)) known.set(uid, flags);
    if (change.kind === 'expunge') for (const uid of change.uids) known.delete(uid);
  }
  return known;
}
