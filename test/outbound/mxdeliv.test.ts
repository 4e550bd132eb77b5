import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Consignment } from '../../src/outbound/consignment.ts';
import {
  CONNECT_TIME,
  createMxdeliv,
  MAX_IDLE,
  MAX_IDLE_PER_HOST,
  POST_TIME,
} from '../../src/outbound/mxdeliv.ts';
import type { Mxdeliv, Posted } from '../../src/outbound/mxdeliv.ts';
import { targetOf } from '../../src/outbound/target.ts';
import type { Target } from '../../src/outbound/target.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { drop, hang, inTurn, raw, reset, say } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedHosts } from '../harness/scripted-hosts.ts';
import { TAKEN } from '../harness/scripted-mxdeliv.ts';
import type { MxdelivAnswer, ScriptedMxdeliv } from '../harness/scripted-mxdeliv.ts';
import { until } from '../harness/until.ts';

const never = new AbortController().signal;

describe('the client of /mxdeliv', { timeout: 60_000 }, () => {
  let hosts: ScriptedHosts;
  let server: ScriptedMxdeliv;
  let clock: TestClock;
  let mxdeliv: Mxdeliv;
  let target: Target;

  beforeEach(async () => {
    hosts = await createScriptedHosts();
    server = await hosts.mxdeliv('mx.test');
    clock = createTestClock();
    mxdeliv = createMxdeliv({ dial: hosts.dial, clock });
    target = targetOf('mx.test', hosts.tlsFor('x.test', 'mx.test'));
  });
  afterEach(async () => {
    mxdeliv[Symbol.dispose]();
    await until(() => server.open === 0, 'no connection is left');
    assert.equal(clock.waiting, 0, 'no timer is left');
    await hosts[Symbol.asyncDispose]();
  });

  const consignment = (more: Partial<Consignment> = {}): Consignment => ({
    destination: 'x.test',
    sender: 'alice@one.test',
    recipients: ['a@x.test', 'b@x.test'],
    message: Buffer.from('Subject: [...]\r\n\r\n.hello'),
    ...more,
  });
  const post = async (given = consignment(), signal = never): Promise<Posted> =>
    mxdeliv.post(
      target,
      given,
      mxdeliv.isOpen(target) ? undefined : await mxdeliv.open(target, never),
      signal,
    );
  const answering = (answer: MxdelivAnswer): Promise<Posted> => {
    server.answer = () => answer;
    return post();
  };

  test('one request: a line for each recipient, the text as in DATA, its length before', async () => {
    assert.deepEqual(await post(), { kind: 'taken' });
    const [request] = server.requests;
    assert.ok(request);
    assert.deepEqual([request.method, request.path], ['POST', '/mxdeliv']);
    assert.equal(request.headers.host, 'mx.test');
    assert.equal(request.sender, 'alice@one.test');
    assert.deepEqual(request.recipients, ['a@x.test', 'b@x.test']);
    assert.equal(request.body, 'Subject: [...]\r\n\r\n..hello\r\n');
    assert.equal(request.headers['content-length'], String(request.body.length));
    await post(consignment({ sender: '' }));
    assert.equal(server.requests[1]?.sender, undefined, 'the null sender has no line');
  });

  test('a hundred recipients with long names fit', async () => {
    const recipients = Array.from({ length: 100 }, (_, n) => `${'u'.repeat(40)}${n}@${'x'.repeat(30)}.test`);
    assert.deepEqual(await post(consignment({ recipients })), { kind: 'taken' });
    assert.deepEqual(server.requests[0]?.recipients, recipients);
  });

  test('30 MB go through', async () => {
    const message = Buffer.alloc(30 * 1024 * 1024, 'some text\r\n');
    assert.deepEqual(await post(consignment({ message })), { kind: 'taken' });
    assert.ok(server.requests[0]?.body.length === message.length + 2);
  });

  const answers: readonly (readonly [string, MxdelivAnswer, Posted['kind']])[] = [
    ['200 250 OK, upstream and we', TAKEN, 'taken'],
    ['200 OK, madmail', { status: 200, body: 'OK' }, 'taken'],
    [
      '200 with a page, a web site',
      { status: 200, body: '<!doctype html>Welcome', type: 'text/html' },
      'absent',
    ],
    ['200 with nothing', { status: 200, body: '' }, 'absent'],
    ['201', { status: 201, body: '250 OK' }, 'absent'],
    ['301', { status: 301 }, 'absent'],
    ['400 with a reply', { status: 400, body: '554 5.7.1 No DKIM signature found' }, 'reply'],
    ['400 without one', { status: 400, body: 'bad request' }, 'absent'],
    ['400 with a good one', { status: 400, body: '250 OK' }, 'absent'],
    [
      '400 with half a one',
      (socket) => void socket.end('HTTP/1.1 400 No\r\nContent-Length: 30\r\n\r\n554 5.7'),
      'absent',
    ],
    ['403, madmail', { status: 403, body: 'Encryption Needed' }, 'absent'],
    ['404', { status: 404, body: '550 not here' }, 'absent'],
    ['405', { status: 405, body: 'Method Not Allowed' }, 'absent'],
    ['413', { status: 413, body: '552 Message exceeds maximum size' }, 'too-big'],
    ['500', { status: 500, body: '554 5.3.0 no' }, 'absent'],
    ['502', { status: 502 }, 'absent'],
    ['503', { status: 503 }, 'absent'],
    ['no HTTP', say('220 mx.test ESMTP'), 'unknown'],
    ['a header without end', raw(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`), 'unknown'],
    [
      'a body without end',
      raw(`HTTP/1.1 400 No\r\nContent-Length: 999999\r\n\r\n${'554-x\r\n'.repeat(9000)}`),
      'absent',
    ],
    [
      '200 and a drop behind OK',
      inTurn(raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n250 OK'), drop),
      'taken',
    ],
    [
      '200 and a drop before it',
      inTurn(raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'), drop),
      'unknown',
    ],
    ['a drop instead of an answer', drop, 'unknown'],
    ['a reset instead of an answer', reset, 'unknown'],
  ];
  for (const [what, answer, kind] of answers) {
    test(`${what}: ${kind}`, async () => {
      const posted = await answering(answer);
      assert.equal(posted.kind, kind, JSON.stringify(posted));
      if (posted.kind === 'reply') assert.equal(posted.reply.status, '5.7.1');
    });
  }

  test('no answer in time: unknown, and why', async () => {
    server.answer = () => hang;
    const posting = post();
    await until(() => server.requests.length === 1, 'it is asked');
    clock.advance(POST_TIME - 1);
    clock.advance(1);
    assert.deepEqual(await posting, { kind: 'unknown', reason: 'the request took more than 300 s' });
  });

  test('half an answer in time: unknown', async () => {
    server.answer = () => raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n');
    const posting = post();
    await until(() => server.requests.length === 1, 'it is asked');
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setTimeout(resolve, 5));
    clock.advance(POST_TIME);
    assert.equal((await posting).kind, 'unknown');
  });

  test('the signal ends it at once', async () => {
    server.answer = () => hang;
    const cut = new AbortController();
    const posting = post(consignment(), cut.signal);
    await until(() => server.requests.length === 1, 'it is asked');
    cut.abort(new Error('the relay is being stopped'));
    assert.deepEqual(await posting, { kind: 'unknown', reason: 'the relay is being stopped' });
  });

  test('413 before the message is read ends the sending of it', async () => {
    server.early = () => ({ status: 413, body: '552 Message exceeds maximum size' });
    const message = Buffer.alloc(30 * 1024 * 1024, 'some text\r\n');
    assert.deepEqual(await post(consignment({ message })), { kind: 'too-big' });
    assert.deepEqual(server.requests, [], 'it never came to its end');
  });

  test('a connection that breaks in the middle of the message has taken nothing', async () => {
    server.early = () => reset;
    const message = Buffer.alloc(30 * 1024 * 1024, 'some text\r\n');
    assert.deepEqual(await post(consignment({ message })), { kind: 'absent' });
  });

  test('a connection is used again, and no more wait than so many', async () => {
    for (let n = 0; n < 3; n++) await post();
    assert.deepEqual(
      server.requests.map(({ connection }) => connection),
      [0, 0, 0],
    );
    const sockets = await Promise.all(Array.from({ length: 10 }, () => mxdeliv.open(target, never)));
    // The first takes the one that waits, so that the one opened for it is not needed.
    await Promise.all(sockets.map((socket) => mxdeliv.post(target, consignment(), socket, never)));
    await until(() => server.open === MAX_IDLE_PER_HOST, 'the others are closed');
    assert.equal(server.requests.length, 13);
  });

  test('of all hosts together no more wait than so many, and none waits for another', async () => {
    const targets = Array.from({ length: MAX_IDLE + 20 }, (_, n) => ({
      ...target,
      https: { ...target.https, key: `host ${n}` },
    }));
    for (const one of targets) {
      const opened = await mxdeliv.open(one, never);
      assert.equal((await mxdeliv.post(one, consignment(), opened, never)).kind, 'taken');
    }
    await until(() => server.open === MAX_IDLE, 'the others are closed');
  });

  test('a connection opened for a request that finds a better one is closed', async () => {
    await post();
    const opened = await mxdeliv.open(target, never);
    assert.equal(server.open, 2);
    assert.deepEqual(await mxdeliv.post(target, consignment(), opened, never), { kind: 'taken' });
    await until(() => server.open === 1, 'it is closed');
  });

  test('one that the server ended while it waited is stale, and the message is nowhere', async () => {
    await post();
    assert.equal(mxdeliv.isOpen(target), true);
    server.endIdle();
    const posted = await mxdeliv.post(target, consignment(), undefined, never);
    assert.deepEqual(posted, { kind: 'stale' });
    assert.equal(server.requests.length, 1);
    assert.equal(mxdeliv.isOpen(target), false);
  });

  test('where another try took the one that waited it is stale, too', async () => {
    assert.deepEqual(await mxdeliv.post(target, consignment(), undefined, never), { kind: 'stale' });
  });

  test('what was not verified is not used for who must verify', async () => {
    server.use(await hosts.certificate('mx.test', 'unknown'));
    await assert.rejects(mxdeliv.open(target, never), /self-signed/);
    const loose = targetOf('mx.test', hosts.tlsFor('_x.test', 'mx.test'));
    const opened = await mxdeliv.open(loose, never);
    assert.equal((await mxdeliv.post(loose, consignment(), opened, never)).kind, 'taken');
    assert.deepEqual([mxdeliv.isOpen(loose), mxdeliv.isOpen(target)], [true, false]);
    assert.equal((await mxdeliv.post(target, consignment(), undefined, never)).kind, 'stale');
    assert.equal(server.requests.length, 1);
  });

  test('what does not open in time, or in safety, is an error', async () => {
    server.handshake = hang;
    const opening = assert.rejects(mxdeliv.open(target, never), /abort|took more than 10 s/);
    await until(() => server.open === 1, 'it is connected');
    clock.advance(CONNECT_TIME);
    await opening;
    await until(() => server.open === 0, 'it is closed');
    server.handshake = drop;
    await assert.rejects(mxdeliv.open(target, never));
    server.handshake = undefined;
    server.use(await hosts.certificate('mx.test', 'expired'));
    await assert.rejects(mxdeliv.open(target, never), /expired/);
    server.use(await hosts.certificate('mx.test', 'another'));
    await assert.rejects(mxdeliv.open(target, never), /altnames/);
  });

  test('a connection that breaks before it has a request is no fault', async () => {
    const opened = await mxdeliv.open(target, never);
    opened.destroy(new Error('broken'));
    assert.deepEqual(await mxdeliv.post(target, consignment(), opened, never), { kind: 'stale' });
  });
});
