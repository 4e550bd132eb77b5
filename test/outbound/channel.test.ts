import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { HEAD_START, openChannel, openSmtp } from '../../src/outbound/channel.ts';
import type { Channel, ChannelParts } from '../../src/outbound/channel.ts';
import { createKnownAbsent } from '../../src/outbound/known-absent.ts';
import { CONNECT_TIME, createMxdeliv } from '../../src/outbound/mxdeliv.ts';
import { STEP_TIME, TlsRefused } from '../../src/outbound/smtp-client.ts';
import { SmtpRefused } from '../../src/outbound/smtp-wire.ts';
import { targetOf } from '../../src/outbound/target.ts';
import type { Target } from '../../src/outbound/target.ts';
import { createBlackHole } from '../harness/black-hole.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { drop, hang, say } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedMxdeliv } from '../harness/scripted-mxdeliv.ts';
import type { ScriptedSmtp } from '../harness/scripted-smtp.ts';
import { turns, until } from '../harness/until.ts';

const never = new AbortController().signal;
const HOST = 'mx.test';

describe('the channel to a host', { timeout: 60_000 }, () => {
  let hosts: ScriptedHosts;
  let web: ScriptedMxdeliv;
  let mail: ScriptedSmtp;
  let clock: TestClock;
  let parts: ChannelParts;
  let target: Target;

  beforeEach(async () => {
    hosts = await createScriptedHosts();
    web = await hosts.mxdeliv(HOST);
    mail = await hosts.smtp(HOST);
    clock = createTestClock();
    parts = {
      dial: hosts.dial,
      clock,
      helo: 'one.test',
      mxdeliv: createMxdeliv({ dial: hosts.dial, clock }),
      absent: createKnownAbsent(clock),
    };
    target = targetOf(HOST, hosts.tlsFor('x.test', HOST));
  });
  afterEach(async () => {
    parts.mxdeliv[Symbol.dispose]();
    await until(() => web.open === 0 && mail.open === 0, 'no connection is left');
    assert.equal(clock.waiting, 0, 'no timer is left');
    await hosts[Symbol.asyncDispose]();
  });

  const open = (signal = never, closing = never) => openChannel(parts, target, signal, closing);
  /** The channel, after it has been closed. */
  const opened = async (opening: Promise<Channel>): Promise<Channel['via']> => {
    const channel = await opening;
    if (channel.via === 'smtp') channel.client[Symbol.dispose]();
    else channel.opened?.destroy();
    return channel.via;
  };
  const headStartOver = async () => {
    await until(() => clock.nextDue === clock.now() + HEAD_START, '443 has its head start');
    clock.advance(HEAD_START - 1);
    await turns();
    assert.equal(mail.connections.length, 0, 'not before');
    clock.advance(1);
  };
  /** The way to 443 hangs until what this answers with is called. */
  const gate443 = (): (() => void) => {
    const gate = Promise.withResolvers<void>();
    const dial: typeof hosts.dial = async (host, port, signal) => {
      if (port === 443) await gate.promise;
      return hosts.dial(host, port, signal);
    };
    parts = { ...parts, mxdeliv: createMxdeliv({ dial, clock }) };
    return gate.resolve;
  };
  const failure = async (opening: Promise<Channel>): Promise<Error> =>
    opening.then(
      () => assert.fail('it stands'),
      (error: unknown) => error as Error,
    );

  test('443 where it stands within its head start, and 25 is not asked', async () => {
    assert.equal(await opened(open()), 'mxdeliv');
    assert.equal(mail.connections.length, 0);
    assert.equal(parts.absent.has(HOST), false);
  });

  test('a connection that waits is told of, and none is opened', async () => {
    const consignment = {
      destination: 'x.test',
      sender: '',
      recipients: ['a@x.test'],
      message: Buffer.from('a\r\n'),
    };
    await parts.mxdeliv.post(target, consignment, await parts.mxdeliv.open(target, never), never);
    assert.deepEqual(await open(), { via: 'mxdeliv', opened: undefined });
    assert.equal(web.connections, 1);
  });

  test('443 closed: 25 at once, without waiting for the head start', async () => {
    hosts.places.delete(`${HOST}:443`);
    assert.equal(await opened(open()), 'smtp');
    await until(() => parts.absent.has(HOST), 'it is remembered');
  });

  test('443 filtered: 25 when the head start is over; that 443 fails becomes known later', async () => {
    await using hole = await createBlackHole();
    hosts.places.set(`${HOST}:443`, hole.port);
    const opening = open();
    await headStartOver();
    assert.equal(await opened(opening), 'smtp');
    assert.equal(parts.absent.has(HOST), false);
    clock.advance(CONNECT_TIME);
    await until(() => parts.absent.has(HOST), 'it is remembered');
  });

  test('443 that takes the connection and says nothing: the same', async () => {
    web.handshake = hang;
    const opening = open();
    await headStartOver();
    assert.equal(await opened(opening), 'smtp');
    clock.advance(CONNECT_TIME);
    await until(() => parts.absent.has(HOST), 'it is remembered');
  });

  test('443 that is slow, but before 25: 25 is given up', async () => {
    mail.script = { greeting: hang };
    const through = gate443();
    const opening = open();
    await headStartOver();
    await until(() => mail.open === 1, '25 is tried');
    through();
    assert.equal(await opened(opening), 'mxdeliv');
    await until(() => mail.open === 0, '25 is given up');
    assert.equal(parts.absent.has(HOST), false);
  });

  test('443 that stands later than 25 is closed, and not remembered as absent', async () => {
    const through = gate443();
    const opening = open();
    await headStartOver();
    assert.equal(await opened(opening), 'smtp');
    through();
    await until(() => web.connections === 1, '443 stands');
    await until(() => web.open === 0, 'it is closed');
    assert.equal(parts.absent.has(HOST), false);
  });

  test('25 fails first, 443 stands later: 443', async () => {
    mail.script = { greeting: drop };
    const through = gate443();
    const opening = open();
    await headStartOver();
    await until(() => mail.connections[0]?.closed === true, '25 fails');
    await turns();
    through();
    assert.equal(await opened(opening), 'mxdeliv');
  });

  test('neither stands: what was wrong with 25, and 443 is asked again the next time', async () => {
    hosts.places.delete(`${HOST}:443`);
    mail.certificate = await hosts.certificate(HOST, 'expired');
    assert.ok((await failure(open())) instanceof TlsRefused);
    await turns();
    assert.equal(parts.absent.has(HOST), false);
    hosts.places.delete(`${HOST}:25`);
    assert.match((await failure(open())).message, /ECONNREFUSED/);
    await turns();
    assert.equal(parts.absent.has(HOST), false);
  });

  test('both filtered: each has its own time, and it ends', async () => {
    await using hole = await createBlackHole();
    hosts.places.set(`${HOST}:443`, hole.port).set(`${HOST}:25`, hole.port);
    const opening = failure(open());
    await headStartOver();
    await until(() => clock.waiting === 2, '25 is tried');
    clock.advance(STEP_TIME.connect);
    assert.match((await opening).message, /connecting took more than 20 s/);
  });

  test('a certificate that is not good closes 443, too', async () => {
    for (const kind of ['expired', 'another', 'unknown'] as const) {
      web.use(await hosts.certificate(HOST, kind));
      assert.equal(await opened(open()), 'smtp', kind);
      await until(() => parts.absent.has(HOST), 'it is remembered');
      parts.absent.remove(HOST);
    }
  });

  test('where 25 cannot be reached any more, 443 is asked again', async () => {
    parts.absent.add(HOST);
    mail.script = { greeting: say('554 5.7.1 not you') };
    assert.ok((await failure(openSmtp(parts, target, never))) instanceof SmtpRefused);
    assert.equal(parts.absent.has(HOST), true, 'it was reached');
    hosts.places.delete(`${HOST}:25`);
    await failure(openSmtp(parts, target, never));
    assert.equal(parts.absent.has(HOST), false);
  });

  test('the signal ends it at once, whatever 443 does, and nothing is learned from that', async () => {
    await using hole = await createBlackHole();
    hosts.places.set(`${HOST}:443`, hole.port);
    mail.script = { greeting: hang };
    for (const late of [false, true]) {
      const cut = new AbortController();
      const closing = new AbortController();
      const opening = failure(open(cut.signal, closing.signal));
      await until(() => clock.waiting > 0, 'it has begun');
      if (late) {
        clock.advance(HEAD_START);
        await until(() => mail.open === 1, '25 is tried');
      }
      cut.abort(new Error('the relay is being stopped'));
      assert.match((await opening).message, /being stopped/);
      closing.abort(new Error('the relay is being stopped'));
      await turns();
      assert.equal(parts.absent.has(HOST), false);
      clock.advance(HEAD_START);
    }
  });
});
