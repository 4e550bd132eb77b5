import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { day, second } from '../../src/clock.ts';
import { createChanges } from '../../src/notify/changes.ts';
import {
  BURST,
  MAX_AGE,
  PATIENCE,
  POST_TIMEOUT,
  RETRY_AFTER,
  createPush,
  nextTry,
} from '../../src/notify/push.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';
import type { Account, PushJobs } from '../../src/store/contract.ts';
import { createTestClock } from '../harness/clock.ts';
import { openTestStore } from '../harness/store.ts';

type Handler = (token: string, response: ServerResponse, request: IncomingMessage) => void;

const ok: Handler = (_token, response) => void response.end();
const status =
  (code: number): Handler =>
  (_token, response) =>
    void response.writeHead(code).end('a word about it');
const silent: Handler = () => {};

/** Resolves when `condition` holds; looks after every turn of the loop, and gives up after five seconds. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`waited in vain until ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A real notifier on the loopback that does what `answer` says, and remembers the tokens it got. */
async function startNotifier(answer: Handler = ok) {
  const got: string[] = [];
  const requests: IncomingMessage[] = [];
  const notifier = { answer, got, requests, url: '', [Symbol.asyncDispose]: async () => {} };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const token = Buffer.concat(chunks).toString();
      requests.push(request);
      got.push(token);
      notifier.answer(token, response, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  notifier.url = `http://127.0.0.1:${address.port}/notify`;
  notifier[Symbol.asyncDispose] = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return notifier;
}

// The timeout is for a run that fails: a test may then wait for a timer that is never set.
describe('push', { timeout: 30_000 }, () => {
  const clock = createTestClock();
  let opened: Awaited<ReturnType<typeof openTestStore>>;
  let accounts = 0;

  before(async () => {
    opened = await openTestStore();
  });
  after(() => opened[Symbol.asyncDispose]());

  /** The real store's jobs, counting what was settled, and failing while `down`. */
  const watched = () => {
    const jobs = opened.store.pushJobs;
    const watch = { settled: 0, down: false, asked: 0, pushJobs: jobs };
    const guard = async <Result>(call: () => Promise<Result>): Promise<Result> => {
      watch.asked++;
      if (watch.down) throw new StoreUnavailable('down');
      return call();
    };
    const pushJobs: PushJobs = {
      claim: (...given) => guard(() => jobs.claim(...given)),
      nextDue: () => guard(() => jobs.nextDue()),
      settle: async (...given) => {
        await guard(() => jobs.settle(...given));
        watch.settled++;
      },
    };
    return Object.assign(watch, { pushJobs });
  };

  const start = (url: string, options: { slots?: number; fetch?: typeof fetch } = {}) => {
    const log: string[] = [];
    const events = {
      pushSent: (attempts: number) => void log.push(`sent ${attempts}`),
      pushFailed: (attempts: number, reason: string) => void log.push(`failed ${attempts} ${reason}`),
      pushGivenUp: (attempts: number) => void log.push(`given up ${attempts}`),
      tokenDropped: () => void log.push('dropped'),
      storeUnavailable: () => void log.push('store unavailable'),
      fault: (_where: string, error: unknown) => void log.push(`fault ${String(error)}`),
    };
    const store = watched();
    const changes = createChanges({ events });
    const push = createPush({ store, clock, changes, url, fetch, events, ...options });
    return { push, store, changes, log };
  };

  /** A fresh account with these device tokens. */
  const account = async (...tokens: string[]): Promise<Account> => {
    const made = await opened.store.accounts.create(`user${accounts++}@_teal.test`, 'hash', clock.now());
    for (const token of tokens) await opened.store.tokens.add(made.account.id, token, clock.now());
    return made.account;
  };

  const deliver = async (...to: Account[]) => {
    const message = Buffer.from('Subject: x\r\n\r\ny\r\n');
    const deliveries = to.map(({ id }) => ({ account: id, push: true }));
    await opened.store.accept({ now: clock.now(), message, headerSize: 14, deliveries });
  };

  /** A timer may only be run past when it is set: the hand that turns the clock is faster than store and network. */
  const waits = (ms: number) => until(() => clock.nextDue === clock.now() + ms, `its timer is ${ms} ms away`);

  const noJobs = async () => (await opened.store.pushJobs.nextDue()) === undefined;

  test('a message posts the bare token, at once, and the job is done', async () => {
    await using notifier = await startNotifier();
    const { push, changes, store, log } = start(notifier.url);
    await using _push = push;
    await deliver(await account('openpgp:one'));
    changes.publish({ kind: 'push' });
    await until(() => log.length === 1, 'it is sent or failed');
    clock.advance(BURST);
    await until(() => store.settled === 1, 'it is settled');
    assert.deepEqual(notifier.got, ['openpgp:one']);
    assert.deepEqual(log, ['sent 1']);
    assert(await noJobs());
    const [request] = notifier.requests;
    assert.equal(request?.method, 'POST');
    assert.equal(request.headers['content-type'], undefined);
    assert.equal(request.headers['content-length'], '11');
    assert.equal(request.headers.authorization, undefined);
  });

  test('several messages within a second are one POST at once and one after', async () => {
    await using notifier = await startNotifier();
    const { push, changes, store } = start(notifier.url);
    await using _push = push;
    const user = await account('burst');
    const other = await account('bystander');
    for (let message = 0; message < 4; message++) {
      await deliver(user);
      changes.publish({ kind: 'push' });
      await until(() => notifier.got.length === 1, 'the first is posted');
      clock.advance(200);
    }
    await deliver(other);
    changes.publish({ kind: 'push' });
    await until(() => notifier.got.length === 2, 'the bystander is posted');
    assert.deepEqual(notifier.got, ['burst', 'bystander'], 'nothing more within the second');
    clock.advance(200);
    await until(() => notifier.got.length === 3, 'the one after is posted');
    clock.advance(BURST);
    await until(() => store.settled === 3, 'all are settled');
    assert(await noJobs());
    assert.deepEqual(notifier.got, ['burst', 'bystander', 'burst']);
  });

  test('410 drops the token; of every account that has it', async () => {
    await using notifier = await startNotifier(status(410));
    const { push, changes, store, log } = start(notifier.url);
    await using _push = push;
    const [one, other] = [await account('dead', 'alive'), await account('dead')];
    notifier.answer = (token, response, request) =>
      (token === 'dead' ? status(410) : ok)(token, response, request);
    await deliver(one);
    changes.publish({ kind: 'push' });
    await until(() => log.length === 2, 'both are posted');
    clock.advance(BURST);
    await until(() => store.settled === 2, 'both are settled');
    assert.deepEqual(log.toSorted(), ['dropped', 'sent 1']);
    assert.deepEqual(await opened.store.tokens.list(one.id, clock.now()), ['alive']);
    assert.deepEqual(await opened.store.tokens.list(other.id, clock.now()), []);
  });

  test('whatever is neither 200 nor 410 is tried again after 8, 64, 512 and 4096 s, then given up', async () => {
    await using elsewhere = await startNotifier();
    await using notifier = await startNotifier();
    // A redirect is not followed: the token would go to whom nobody chose.
    const redirect: Handler = (_token, response) =>
      void response.writeHead(307, { location: elsewhere.url }).end();
    const broken: Handler = (_token, response) => void response.destroy();
    const answers = [status(500), redirect, broken, status(404), status(201)];
    const { push, changes, store, log } = start(notifier.url);
    await using _push = push;
    await deliver(await account('unlucky'));
    changes.publish({ kind: 'push' });
    for (const [nth, answer] of answers.entries()) {
      notifier.answer = answer;
      if (nth > 0) {
        const wait = RETRY_AFTER[nth - 1] ?? 0;
        await until(async () => (await opened.store.pushJobs.nextDue()) === clock.now() + wait, 'it waits');
        clock.advance(wait - 1);
        changes.publish({ kind: 'push' });
        await waits(1);
        assert.equal(notifier.got.length, nth, 'not a millisecond too early');
        clock.advance(1);
      }
      await until(() => store.settled === nth + 1, `try ${nth + 1} is settled`);
    }
    assert(await noJobs());
    assert.deepEqual(elsewhere.got, []);
    assert.deepEqual(log, [
      'failed 1 status 500',
      'failed 2 status 307',
      'failed 3 UND_ERR_SOCKET',
      'failed 4 status 404',
      'failed 5 status 201',
      'given up 5',
    ]);
  });

  test('a new message gives a waiting job its tries anew, at once', async () => {
    await using notifier = await startNotifier(status(500));
    const { push, changes, store, log } = start(notifier.url);
    await using _push = push;
    const user = await account('patient');
    await deliver(user);
    changes.publish({ kind: 'push' });
    await until(() => store.settled === 1, 'the first try failed');
    clock.advance(3000);
    notifier.answer = ok;
    await deliver(user);
    changes.publish({ kind: 'push' });
    await until(() => log.length === 2, 'the second is over');
    clock.advance(BURST);
    await until(() => store.settled === 2, 'the second is settled');
    assert.deepEqual(log, ['failed 1 status 500', 'sent 1']);
  });

  test('a dead token takes its own slot and nothing else', async () => {
    await using notifier = await startNotifier((token, response, request) =>
      (token === 'silent' ? silent : ok)(token, response, request),
    );
    const { push, changes, store, log } = start(notifier.url);
    await using _push = push;
    await deliver(await account('silent', 'quick 1'));
    changes.publish({ kind: 'push' });
    await until(() => log.length === 1, 'the quick one is sent');
    await deliver(await account('quick 2'));
    changes.publish({ kind: 'push' });
    await until(() => log.length === 2, 'the next quick one is sent');
    clock.advance(POST_TIMEOUT - 1);
    await until(() => store.settled === 2, 'the quick ones are settled');
    assert.deepEqual(log, ['sent 1', 'sent 1']);
    clock.advance(1);
    await until(() => store.settled === 3, 'the silent one is settled');
    assert.equal(log[2], 'failed 1 time-out');
    notifier.answer = status(410);
    await waits(8000);
    clock.advance(8000);
    await until(() => store.settled === 4, 'it is dropped');
  });

  test('when dead tokens hold all slots, a fresh one gets through within the patience', async () => {
    const slots = 3;
    await using notifier = await startNotifier(silent);
    const { push, changes, store, log } = start(notifier.url, { slots });
    await using _push = push;
    await deliver(await account('dead 1', 'dead 2', 'dead 3'));
    changes.publish({ kind: 'push' });
    await until(() => notifier.got.length === slots, 'all slots are taken');
    clock.advance(1000);
    notifier.answer = (token, response, request) =>
      (token === 'fresh' ? ok : silent)(token, response, request);
    await deliver(await account('fresh'));
    changes.publish({ kind: 'push' });
    await waits(PATIENCE - 1000);
    assert.equal(notifier.got.length, slots);
    clock.advance(PATIENCE - 1000);
    await until(() => log.includes('sent 1'), 'the fresh one is sent');
    assert.deepEqual(log.toSorted(), ['failed 1 cut off for others', 'sent 1'], 'one made room, no more');
    await until(() => store.settled === 1, 'the one that made room is settled');
    await waits(BURST);
    notifier.answer = status(410);
    clock.advance(POST_TIMEOUT);
    await until(() => store.settled === 5, 'everything is settled');
    await waits(8000);
    clock.advance(8000);
    await until(() => store.settled === 7, 'the others as well');
    assert(await noJobs());
  });

  test('there are never more POSTs at once than slots, and all tokens get theirs', async () => {
    const slots = 4;
    const held: ServerResponse[] = [];
    let most = 0;
    await using notifier = await startNotifier((_token, response) => {
      held.push(response);
      most = Math.max(most, held.length);
    });
    const { push, changes, store } = start(notifier.url, { slots });
    await using _push = push;
    const tokens = Array.from({ length: 30 }, (_, nth) => `many ${nth}`);
    await deliver(await account(...tokens));
    changes.publish({ kind: 'push' });
    for (let done = 0; done < tokens.length; done++) {
      await until(() => held.length === Math.min(slots, tokens.length - done), 'the slots are full');
      held.shift()?.end();
    }
    await until(() => clock.waiting >= tokens.length, 'all bursts are waited out');
    clock.advance(BURST);
    await until(() => store.settled === tokens.length, 'all are settled');
    assert.equal(most, slots);
    assert.deepEqual(notifier.got.toSorted(), tokens.toSorted());
  });

  test('an answer with a body without end does not keep its slot for longer than the time-out', async () => {
    await using notifier = await startNotifier((_token, response) => {
      response.writeHead(200).write('x'.repeat(1000));
    });
    let answered = 0;
    const { push, changes, store, log } = start(notifier.url, {
      slots: 1,
      fetch: async (...given) => {
        const response = await fetch(...given);
        answered++;
        return response;
      },
    });
    await using _push = push;
    const [dripping, flooding] = [await account('dripping'), await account('flooding')];
    await deliver(dripping);
    changes.publish({ kind: 'push' });
    await until(() => answered === 1, 'the head of the answer is there');
    clock.advance(POST_TIMEOUT);
    await until(() => store.settled === 1, 'it is settled');
    notifier.answer = (_token, response) => {
      const flood = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 16)));
      };
      response.on('drain', flood).on('error', () => {});
      flood();
    };
    await deliver(flooding);
    changes.publish({ kind: 'push' });
    await until(() => log.length === 2, 'the flood is cut');
    assert.deepEqual(log, ['sent 1', 'sent 1'], 'the status had said it all');
    clock.advance(BURST);
    await until(() => store.settled === 2, 'it is settled');
  });

  test('a store that is down is asked ever less often, and nothing is lost', async () => {
    await using notifier = await startNotifier();
    const { push, changes, store, log } = start(notifier.url);
    await using _push = push;
    await waits(60_000);
    store.down = true;
    await deliver(await account('later'));
    changes.publish({ kind: 'push' });
    for (const [failures, wait] of [1000, 2000, 4000, 8000, 8000].entries()) {
      await waits(wait);
      assert.equal(log.length, failures + 1);
      const asked = store.asked;
      changes.publish({ kind: 'push' });
      assert.equal(store.asked, asked, 'the bus does not hurry it');
      if (failures === 4) store.down = false;
      clock.advance(wait);
    }
    await until(() => log.includes('sent 1'), 'it is sent when the store is back');
    await waits(BURST);
    store.down = true;
    clock.advance(BURST);
    await until(() => log.length >= 8, 'settling fails, and so does the look that follows');
    assert.equal(store.settled, 0);
    store.down = false;
    clock.advance(POST_TIMEOUT + 30 * second);
    await until(() => {
      // It looks every second or two; while a try is under way the next timer is a minute off.
      if ((clock.nextDue ?? Infinity) <= clock.now() + 2 * second) clock.advance(second);
      return log.filter((line) => line === 'sent 1').length === 2;
    }, 'the lease is over and it is sent again');
    clock.advance(BURST);
    await until(() => store.settled === 1, 'it is settled');
    assert(await noJobs());
  });

  test('what is under way at the end is cut off, kept in the store and sent after the next start', async () => {
    await using notifier = await startNotifier((token, response, request) =>
      (token === 'held' ? silent : ok)(token, response, request),
    );
    const first = start(notifier.url);
    await deliver(await account('held', 'answered'));
    first.changes.publish({ kind: 'push' });
    await until(() => notifier.got.length === 2 && first.log.length === 1, 'one is posted, one answered');
    await first.push[Symbol.asyncDispose]();
    assert.equal(first.store.settled, 2);
    assert.deepEqual(first.log, ['sent 1', 'failed 1 shutting down']);
    assert.equal(clock.waiting, 0, 'no timer is left');
    const asked = first.store.asked;
    first.changes.publish({ kind: 'push' });
    assert.equal(first.store.asked, asked, 'nothing is claimed any more');

    notifier.answer = ok;
    clock.advance(8000);
    const second = start(notifier.url);
    await using _push = second.push;
    await until(() => second.log.length === 1, 'it is sent');
    assert.deepEqual(notifier.got.slice(2), ['held']);
    clock.advance(BURST);
    await until(() => second.store.settled === 1, 'it is settled');
    assert(await noJobs());
  });

  test('the deadline counts from the newest message', () => {
    const since = clock.now();
    assert.equal(nextTry({ attempts: 0, since }, since), since + 8000);
    assert.equal(nextTry({ attempts: 3, since }, since + MAX_AGE - 4096_000), since + MAX_AGE);
    assert.equal(nextTry({ attempts: 3, since }, since + MAX_AGE - 4096_000 + 1), undefined);
    assert.equal(nextTry({ attempts: 4, since }, since), undefined);
    assert.equal(nextTry({ attempts: 0, since }, since + day), undefined);
  });
});
