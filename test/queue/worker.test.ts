import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { day, minute, second } from '../../src/clock.ts';
import { BOUNCE_TIME, SETTLE_TIME } from '../../src/queue/attempt.ts';
import { PER_STRANGER } from '../../src/queue/destinations.ts';
import { LEASE } from '../../src/queue/leases.ts';
import { ATTEMPT_TIME, SLOTS } from '../../src/queue/worker.ts';
import { deferred, delivered, HEADER, refused, SIGNATURE, until, useWorker } from './worker-at-hand.ts';
import type { Sending } from './worker-at-hand.ts';

// The timeout is for a run that fails: a test may then wait for a timer that is never set.
describe('the worker of the queue', { timeout: 60_000 }, () => {
  const at = useWorker();
  const sent = (sendings: readonly Sending[]) => sendings.map(({ consignment }) => consignment.destination);

  test('a commit wakes it, the message goes out signed, once for all recipients of a destination', async () => {
    const { worker, sendings, log, watch, wake } = at.start();
    await using _worker = worker;
    await until(() => at.clock.nextDue !== undefined, 'it waits');
    const asked = watch.asked;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(watch.asked, asked, 'nobody polls');
    await at.accept(['bob@b.test', 'Bea@b.test', 'carol@c.test']);
    wake();
    await until(() => sendings.length === 2, 'both are under way');
    const [b, c] = sendings;
    assert.deepEqual(b?.consignment.recipients, ['bob@b.test', 'Bea@b.test']);
    assert.equal(b.consignment.sender, 'alice@chat.test');
    assert.equal(b.consignment.message.toString(), `${SIGNATURE}${HEADER}hello\r\n`);
    assert.equal(c?.consignment.message, b.consignment.message, 'in memory once');
    assert.equal(watch.signed, 1);
    for (const one of sendings) one.answer();
    await until(() => watch.settled === 2, 'both are settled');
    assert.deepEqual(log.toSorted(), ['delivered 1 smtp 0', 'delivered 2 smtp 0']);
    assert.deepEqual(await at.store.queue.destinations(10), []);
  });

  test('what is deferred is tried again by time, with the signature that was kept, or another for other keys', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, log, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    sendings[0]?.answer(deferred);
    await until(() => watch.settled === 1, 'it is settled');
    await until(() => at.clock.nextDue === at.clock.now() + minute, 'it waits for a minute');
    assert.deepEqual(
      (await at.rows('b.test')).map(({ attempts, reason }) => [attempts, reason]),
      [[1, 'no host answers']],
    );
    at.clock.advance(minute);
    await until(() => sendings.length === 2, 'it is under way again');
    assert.equal(watch.signed, 1);
    assert.ok(sendings[1]?.consignment.message.toString().startsWith(SIGNATURE));
    sendings[1]?.answer(deferred);
    await until(() => watch.settled === 2, 'it is settled');
    assert.deepEqual(
      (await at.rows('b.test')).map(({ due }) => due),
      [at.clock.now() + 2 * minute],
    );
    watch.keys = 'k2';
    await until(() => at.clock.nextDue !== undefined, 'it waits');
    at.clock.advance(minute);
    await until(() => at.clock.nextDue !== undefined, 'it waits on');
    at.clock.advance(minute);
    await until(() => sendings.length === 3, 'it is under way a third time');
    assert.equal(watch.signed, 2);
    sendings[2]?.answer();
    await until(() => log.at(-1)?.startsWith('delivered') === true, 'it is done');
    assert.equal(log.at(-1), `delivered 1 smtp ${3 * minute}`);
  });

  test('a destination that hangs delays no other, and has its tries bounded', async () => {
    for (let n = 0; n < 3 * PER_STRANGER; n++) await at.accept([`user${n}@hangs.test`]);
    await at.accept(['carol@c.test']);
    const { worker, sendings, watch, wake } = at.start({ slots: 20 });
    await using _worker = worker;
    await until(() => sent(sendings).includes('c.test'), 'the other one is under way');
    await until(() => at.clock.nextDue !== undefined && sendings.length === PER_STRANGER + 1, 'all is begun');
    const hanging = () => sent(sendings).filter((one) => one === 'hangs.test').length;
    assert.equal(hanging(), PER_STRANGER);
    sendings.find(({ consignment }) => consignment.destination === 'c.test')?.answer();
    await until(() => watch.settled === 1, 'it is settled');
    await at.accept(['dora@d.test']);
    wake();
    await until(() => sent(sendings).includes('d.test'), 'a later one passes as well');
    assert.equal(hanging(), PER_STRANGER, 'still no more');
    sendings.find(({ consignment }) => consignment.destination === 'hangs.test')?.answer();
    await until(() => hanging() > PER_STRANGER, 'a place is taken by the next');
  });

  test('however many destinations hang, one that answered before is not held up', async () => {
    await at.accept(['carol@good.test']);
    const { worker, sendings, watch, wake } = at.start({ slots: 20 });
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    sendings[0]?.answer();
    await until(() => watch.settled === 1, 'it has answered');
    for (let n = 0; n < 40; n++) await at.accept([`user@dead${n}.test`]);
    wake();
    await until(() => at.clock.nextDue !== undefined && sendings.length > 10, 'much is begun');
    await at.accept(['dora@good.test']);
    wake();
    await until(() => sent(sendings).slice(1).includes('good.test'), 'it passes');
    assert.equal(sendings.length, 1 + 15 + 1);
    // As those end, the others have their turn.
    for (const one of sendings.slice(1)) one.answer(deferred);
    await until(() => new Set(sent(sendings)).size > 16, 'the next ones');
  });

  test('dozens of destinations that hang from the first try do not hold up a new one', async () => {
    const names = Array.from({ length: 60 }, (_, place) => `u@dead${place}.test`);
    for (let n = 0; n < 6; n++) await at.accept(names);
    const { worker, sendings, wake } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === PER_STRANGER * names.length, 'all are tried');
    assert.ok(sendings.length < (3 / 4) * SLOTS);
    await at.accept(['carol@new.test']);
    wake();
    await until(() => sent(sendings).includes('new.test'), 'it passes');
  });

  test('in a burst those that answered before have every second claim, and of the others each has its turn', async () => {
    const { worker, sendings, watch, wake } = at.start({ slots: 8 });
    await using _worker = worker;
    const begun = (count: number) => until(() => sendings.length === count, `${count} are under way`);
    await at.accept(['carol@good.test', 'carol@busy.test']);
    wake();
    await begun(2);
    for (const one of [...sendings]) one.answer();
    await until(() => watch.settled === 2, 'they have answered');
    for (let n = 0; n < 3; n++) await at.accept([`u${n}@busy.test`]);
    wake();
    await begun(5);
    // Who has 15 messages for those that are dead has all that is left.
    for (let n = 0; n < 3; n++)
      await at.accept(Array.from({ length: 5 }, (_, place) => `u${n}@dead${place}.test`));
    wake();
    await begun(10);
    for (const name of ['dora@new.test', 'dora@good.test']) {
      at.clock.advance(1);
      await at.accept([name]);
    }
    wake();
    const dead = sendings.slice(5);
    const next = ['good.test', 'new.test', 'dead0.test'];
    for (const [count, name] of next.entries()) {
      dead[count]?.answer(deferred);
      await begun(11 + count);
      assert.equal(sent(sendings).at(-1), name);
    }
  });

  test('that a name is not in DNS is no answer', async () => {
    for (let n = 0; n < 6; n++) await at.accept([`user${n}@nowhere.test`]);
    const { worker, sendings, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === PER_STRANGER, 'two are under way');
    const noSuchName = { ...refused.problem, host: undefined, reply: undefined };
    for (const one of [...sendings]) one.answer({ kind: 'failed', problem: noSuchName });
    await until(() => watch.settled === 2 && at.clock.nextDue !== undefined, 'it waits');
    await until(() => sendings.length === 3, 'one goes on');
    sendings[2]?.answer();
    await until(() => sendings.length === 6, 'the others');
  });

  test('a destination that answered nothing has one try at a time, until it answers', async () => {
    for (let n = 0; n < 6; n++) await at.accept([`user${n}@dead.test`]);
    const { worker, sendings, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === PER_STRANGER, 'two are under way');
    for (const one of [...sendings]) one.answer(deferred);
    await until(() => watch.settled === 2 && sendings.length === 3, 'one goes on');
    // Settled, looked, and nothing more was begun.
    await until(() => at.clock.nextDue !== undefined, 'it waits');
    assert.equal(sendings.length, 3);
    sendings[2]?.answer();
    await until(() => sendings.length === 6, 'the others');
  });

  test('a refusal for good is bounced once for all whom it concerns, then done', async () => {
    await at.accept(['bob@b.test', 'bea@b.test']);
    const { worker, sendings, bounces, log } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    sendings[0]?.answer(refused);
    await until(() => log.length > 0, 'it is done');
    assert.deepEqual(await at.rows('b.test'), []);
    assert.equal(bounces.length, 1);
    const [bounce] = bounces;
    assert.equal(bounce?.sender, 'alice@chat.test');
    assert.equal(bounce.header.toString(), HEADER);
    assert.deepEqual(
      bounce.recipients.map(({ address, reply }) => [address, reply]),
      [
        ['bob@b.test', '550 no such user'],
        ['bea@b.test', '550 no such user'],
      ],
    );
    assert.deepEqual(log, ['failed b.test 2 5.1.1']);
  });

  test('a bounce is never bounced', async () => {
    await at.accept(['bob@b.test'], { sender: '' });
    const { worker, sendings, bounces } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    sendings[0]?.answer(refused);
    await until(async () => (await at.rows('b.test')).length === 0, 'it is done');
    assert.deepEqual(bounces, []);
  });

  test('at the end of its life there is a last try, and then a bounce', async () => {
    await at.accept(['bob@b.test']);
    at.clock.advance(2 * day);
    const { worker, sendings, bounces } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'the last try');
    sendings[0]?.answer(deferred);
    await until(() => bounces.length === 1, 'the bounce');
    assert.equal(bounces[0]?.recipients[0]?.status, '4.4.7');
    await until(async () => (await at.rows('b.test')).length === 0, 'it is done');
  });

  test('where the bounce cannot be kept the row stays', async () => {
    await at.accept(['bob@b.test', 'bea@b.test']);
    const { worker, sendings, bounces, watch } = at.start({
      send: async ({ recipients }) => recipients.map((one) => (one.startsWith('bea') ? delivered : refused)),
    });
    await using _worker = worker;
    watch.failBounce = true;
    await until(() => at.clock.nextDue === at.clock.now() + second, 'it insists');
    for (let n = 0; n < 60 && watch.settled === 0; n++) {
      at.clock.advance(8 * second);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => watch.settled === 1, 'it gives up insisting');
    assert.deepEqual(
      (await at.rows('b.test')).map(({ recipient }) => recipient),
      ['bob@b.test'],
    );
    watch.failBounce = false;
    at.clock.advance(minute);
    await until(() => bounces.length === 1, 'then it is bounced');
    assert.deepEqual(sendings, []);
  });

  test('where it can never be kept the other side is asked ever more rarely', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, log } = at.start({ bounce: () => Promise.reject(new TypeError('a fault')) });
    await using _worker = worker;
    for (const [tries, wait] of [1, 2, 5, 15, 30, 60, 60, 60, 120, 120].entries()) {
      await until(() => sendings.length === tries + 1, 'it is tried');
      sendings[tries]?.answer(refused);
      await until(async () => (await at.rows('b.test'))[0]?.attempts === tries + 1, 'it is put off');
      assert.equal((await at.rows('b.test'))[0]?.due, at.clock.now() + wait * minute);
      await until(() => at.clock.nextDue !== undefined && at.clock.nextDue > at.clock.now(), 'it waits');
      for (let passed = 0; passed < wait && sendings.length === tries + 1; passed += 1) {
        at.clock.advance(minute);
        await until(
          () => sendings.length > tries + 1 || (at.clock.nextDue ?? 0) > at.clock.now(),
          'it looks',
        );
      }
    }
    assert.ok(log.includes('fault queue TypeError: a fault'));
  });

  test('a store that is away for long after a try that took long makes no second one', async () => {
    await at.accept(['bob@b.test']);
    at.clock.advance(2 * day);
    const { worker, sendings, watch, bounces } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'the last try');
    watch.failBounce = true;
    at.clock.advance(ATTEMPT_TIME);
    watch.down = true;
    const manyTurns = async () => {
      for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
    };
    const end = at.clock.now() + BOUNCE_TIME + SETTLE_TIME - 20 * second;
    while (at.clock.now() < end) {
      await manyTurns();
      at.clock.advance(second);
    }
    watch.down = false;
    for (let n = 0; n < 20 && watch.settled === 0; n++) {
      await manyTurns();
      at.clock.advance(second);
    }
    await until(() => watch.settled === 1, 'it is settled');
    assert.deepEqual([sendings.length, bounces.length], [1, 0]);
    assert.equal((await at.rows('b.test'))[0]?.reason, 'the bounce could not be kept');
  });

  test('a store that fails sets its own pace, and a delivery is settled when it is back', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, log, watch, wake } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    watch.down = true;
    sendings[0]?.answer();
    await until(
      () => log.includes('store unavailable') && at.clock.nextDue === at.clock.now() + second,
      'it insists',
    );
    const asked = watch.asked;
    for (let n = 0; n < 10; n++) wake();
    assert.ok(watch.asked <= asked + 1, 'commits do not hurry it');
    watch.down = false;
    at.clock.advance(second);
    await until(() => watch.settled === 1, 'it is settled');
    assert.equal(sendings.length, 1, 'and not sent twice');
  });

  test('the shutdown breaks off what is under way and gives it back; the next start goes on with it', async () => {
    await at.accept(['bob@b.test', 'carol@c.test']);
    const first = at.start();
    await until(() => first.sendings.length === 2, 'both are under way');
    first.sendings[0]?.answer();
    await first.worker[Symbol.asyncDispose]();
    assert.equal(first.sendings[1]?.signal.aborted, true);
    const waiting = await at.store.queue.destinations(10);
    assert.deepEqual(
      waiting.map(({ rows, nextDue }) => [rows, nextDue]),
      [[1, at.clock.now()]],
    );
    const second = at.start();
    await using _worker = second.worker;
    await until(() => second.sendings.length === 1, 'it goes on');
    assert.notEqual(second.sendings[0]?.consignment.destination, first.sendings[0]?.consignment.destination);
  });

  test('a crash between a bounce and its settlement makes one duplicate, and no more', async () => {
    await at.accept(['bob@b.test']);
    const killed = at.start();
    await until(() => killed.sendings.length === 1, 'it is under way');
    killed.watch.down = true;
    killed.sendings[0]?.answer(refused);
    await until(() => killed.bounces.length === 1, 'the bounce is durable');
    // What it does not settle any more is what a killed process leaves behind.
    await Promise.all([killed.worker[Symbol.asyncDispose](), until(() => killed.log.length > 0, 'it fails')]);
    at.clock.advance(LEASE);
    const next = at.start();
    await using _worker = next.worker;
    await until(() => next.sendings.length === 1, 'it is tried again');
    next.sendings[0]?.answer(refused);
    await until(async () => (await at.rows('b.test')).length === 0, 'it is done');
    assert.equal(next.bounces.length, 1);
  });

  test('a try that takes too long is cut off', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, log } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    at.clock.advance(ATTEMPT_TIME);
    await until(() => log.length === 1, 'it is deferred');
    assert.deepEqual(log, ['deferred b.test 1 no host answers']);
  });

  test('large messages wait for memory, small ones do not', async () => {
    const large = 'x'.repeat(700 * 1024);
    await at.accept(['a@a.test'], { body: `${large}1` });
    await at.accept(['b@b.test'], { body: `${large}2` });
    await at.accept(['c@c.test']);
    const { worker, sendings } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 2, 'two are under way');
    assert.deepEqual(sent(sendings).toSorted(), ['a.test', 'c.test']);
    sendings.find(({ consignment }) => consignment.destination === 'a.test')?.answer();
    await until(() => sent(sendings).includes('b.test'), 'the other one follows');
    assert.ok(sendings.at(-1)?.consignment.message.toString().endsWith(`${large}2`));
  });

  test('a message that cannot be signed waits, and is not given up', async () => {
    await at.accept(['bob@b.test']);
    at.clock.advance(3 * day);
    const { worker, log, bounces } = at.start({
      signer: { keys: async () => 'k', sign: () => Promise.reject(new Error('unusable key')) },
    });
    await using _worker = worker;
    await until(() => log.length >= 2, 'it is deferred');
    assert.deepEqual(log.slice(0, 2), [
      'fault queue Error: unusable key',
      'deferred b.test 1 this relay could not read or sign the message',
    ]);
    assert.deepEqual(bounces, []);
    assert.equal((await at.rows('b.test')).length, 1);
  });
});
