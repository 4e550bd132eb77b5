import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { connectSmtp, STEP_TIME, TlsRefused, Unconfirmed } from '../../src/outbound/smtp-client.ts';
import type { SmtpClient } from '../../src/outbound/smtp-client.ts';
import { MAX_UNREAD, SmtpRefused } from '../../src/outbound/smtp-wire.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { drop, flood, hang, inTurn, raw, reset, say } from '../harness/scripted-act.ts';
import type { Act } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { CertificateKind, ScriptedHosts } from '../harness/scripted-hosts.ts';
import { createScriptedSmtp } from '../harness/scripted-smtp.ts';
import type { ScriptedSmtp, SmtpScript } from '../harness/scripted-smtp.ts';
import { turns, until } from '../harness/until.ts';

const never = new AbortController().signal;

describe('the SMTP client', { timeout: 60_000 }, () => {
  let hosts: ScriptedHosts;
  let server: ScriptedSmtp;
  let clock: TestClock;

  before(async () => {
    hosts = await createScriptedHosts();
    server = await hosts.smtp('mx.test');
  });
  after(() => hosts[Symbol.asyncDispose]());

  const connect = (script: SmtpScript = {}, tls: ConnectionOptions = {}, signal = never) => {
    server.script = script;
    clock = createTestClock();
    const parts = { dial: hosts.dial, clock, helo: 'one.test' };
    return connectSmtp(parts, 'mx.test', { ...hosts.tlsFor('x.test', 'mx.test'), ...tls }, signal);
  };
  const failure = async (promise: Promise<unknown>): Promise<Error> => {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error, 'it went well');
    return error;
  };
  const allClosed = () => until(() => server.open === 0, 'the connection is closed');
  const last = () => server.connections.at(-1)!;
  const seen = (verb: string) => last().commands.some((line) => line.startsWith(verb));
  const data = async (client: SmtpClient) => {
    const [mail, rcpt, go] = await client.commands(['MAIL FROM:<a@a>', 'RCPT TO:<b@b>', 'DATA'], never);
    assert.deepEqual([mail?.code, rcpt?.code, go?.code], [250, 250, 354]);
  };

  test('it greets, takes TLS, greets anew, and knows what is offered behind TLS', async () => {
    using client = await connect({ offers: ['SIZE 1000', 'PIPELINING', 'x-odd  A  B'] });
    assert.deepEqual(last().commands, ['EHLO one.test', 'STARTTLS', 'EHLO one.test']);
    assert.equal(last().secure, true);
    assert.equal(client.extensions.get('SIZE'), '1000');
    assert.equal(client.extensions.get('X-ODD'), 'A B');
    assert.equal(client.extensions.has('STARTTLS'), false);
    assert.equal(client.usable, true);
    assert.equal(clock.waiting, 0, 'no timer is left');
  });

  test('a message of many blocks comes through, and QUIT is said at the end', async () => {
    const client = await connect();
    await data(client);
    const block = Buffer.alloc(300_000, 'abcdefg\r\n');
    const reply = await client.text([block, block, Buffer.from('\r\n')], never);
    assert.equal(reply.code, 250);
    assert.equal(last().transactions[0]?.text.length, 600_002);
    client[Symbol.dispose]();
    await until(() => seen('QUIT'), 'QUIT is said');
    await allClosed();
    assert.equal(clock.waiting, 0);
  });

  test('a server that does not take QUIT is left all the same', async () => {
    const client = await connect({ quit: hang });
    client[Symbol.dispose]();
    await allClosed();
  });

  /** Each step at which a server may hang, with the script and what is then said. */
  const steps: readonly (readonly [string, SmtpScript, number, RegExp])[] = [
    ['the greeting', { greeting: hang }, STEP_TIME.greeting, /its greeting took more than 60 s/],
    ['EHLO', { ehlo: hang }, STEP_TIME.command, /its reply to EHLO took more than 60 s/],
    ['STARTTLS', { starttls: hang }, STEP_TIME.command, /its reply to STARTTLS took more/],
    ['the handshake', { handshake: hang }, STEP_TIME.tls, /the TLS handshake took more than 20 s/],
    ['EHLO behind TLS', { secureEhlo: hang }, STEP_TIME.command, /its reply to EHLO took more/],
  ];
  for (const [step, script, time, text] of steps) {
    test(`a server that hangs at ${step} is given up when the time of the step is over`, async () => {
      const connecting = failure(connect(script));
      await until(() => clock.waiting === 1 && server.open === 1 && reached(step), 'it waits');
      clock.advance(time - 1);
      assert.equal(server.open, 1);
      clock.advance(1);
      assert.match((await connecting).message, text);
      await allClosed();
      assert.equal(clock.waiting, 0);
    });
  }
  const reached = (step: string): boolean => {
    const { commands } = last();
    const expected = { 'the greeting': 0, EHLO: 1, STARTTLS: 2, 'the handshake': 2 }[step] ?? 3;
    // In the handshake the timer is the only one and has its own time.
    return (
      commands.length === expected &&
      (step !== 'the handshake' || clock.nextDue === clock.now() + STEP_TIME.tls)
    );
  };

  test('a connection that does not come about is given up, too', async () => {
    clock = createTestClock();
    const dial = (_host: string, _port: number, signal: AbortSignal) =>
      new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    const connecting = failure(connectSmtp({ dial, clock, helo: 'one.test' }, 'mx.test', {}, never));
    clock.advance(STEP_TIME.connect);
    assert.match((await connecting).message, /connecting took more than 20 s/);
  });

  for (const [verb, time] of [
    ['MAIL', STEP_TIME.command],
    ['RCPT', STEP_TIME.command],
    ['DATA', STEP_TIME.data],
  ] as const) {
    test(`a server that hangs at ${verb} is given up`, async () => {
      const script = { MAIL: { mail: hang }, RCPT: { rcpt: () => hang }, DATA: { data: hang } }[verb];
      using client = await connect(script);
      const before = ['MAIL FROM:<a@a>', 'RCPT TO:<b@b>'].slice(0, verb === 'MAIL' ? 0 : 1);
      await client.commands(before, never);
      const failing = failure(client.commands([verb === 'DATA' ? 'DATA' : `${verb} TO:<b@b>`], never));
      await until(() => seen(verb), 'it is asked');
      await until(() => clock.nextDue === clock.now() + time, 'it waits for that step');
      clock.advance(time);
      assert.match((await failing).message, new RegExp(`its reply to ${verb} took more than`));
    });
  }

  test('a server that hangs at the dot has ten minutes, and nobody knows then', async () => {
    using client = await connect({ dot: hang });
    await data(client);
    const failing = failure(client.text([Buffer.from('hello\r\n')], never));
    await until(() => last().transactions.length === 1, 'it has all');
    clock.advance(STEP_TIME.dot - 1);
    clock.advance(1);
    const error = await failing;
    assert.ok(error instanceof Unconfirmed);
    assert.match(error.message, /its reply to the message took more than 600 s/);
  });

  test('a server that takes nothing more in the middle of the text is given up by the block', async () => {
    // It reads nothing from here on, so that what the network holds fills up.
    using client = await connect({
      data: (socket, bottom) => void (socket.write('354 go on\r\n'), bottom.pause()),
    });
    await data(client);
    const endless = function* () {
      for (;;) yield Buffer.alloc(1024 * 1024);
    };
    const failing = failure(client.text(endless(), never));
    await until(() => clock.nextDue === clock.now() + STEP_TIME.block, 'it waits for the block');
    clock.advance(STEP_TIME.block);
    const error = await failing;
    assert.match(error.message, /taking what we send took more than 180 s/);
    assert.ok(!(error instanceof Unconfirmed), 'the dot was never sent');
  });

  test('the signal ends any step at once', async () => {
    const cut = new AbortController();
    const connecting = failure(connect({ secureEhlo: hang }, {}, cut.signal));
    await until(() => server.open === 1 && last().commands.length === 3, 'it waits');
    cut.abort(new Error('the relay is being stopped'));
    assert.match((await connecting).message, /being stopped/);
    await allClosed();
    assert.equal(clock.waiting, 0);
  });

  const broken: readonly (readonly [string, Act])[] = [
    ['drops', drop],
    ['resets', reset],
    ['talks no SMTP', say('HTTP/1.1 400 Bad Request')],
    ['never ends its line', flood('x')],
    ['never ends its reply', flood('250-more\r\n')],
    ['never ends its replies', flood('250 more\r\n')],
  ];
  for (const [what, act] of broken) {
    test(`a server that ${what} is an error at every step, and the connection is closed`, async () => {
      for (const script of [
        { greeting: act },
        { ehlo: act },
        { starttls: act },
        { handshake: act },
        { secureEhlo: act },
      ] as SmtpScript[]) {
        const connected = await connect(script).catch((error: unknown) => error);
        if (connected instanceof Error) continue;
        // A flood that begins with a good reply comes past the step, and is one reply too many behind it.
        const client = connected as SmtpClient;
        await until(() => !client.usable, 'it is given up');
        client[Symbol.dispose]();
        await allClosed();
      }
      for (const script of [{ mail: act }, { rcpt: () => act }, { data: act }] as SmtpScript[]) {
        using client = await connect(script);
        await failure(
          client
            .commands(['MAIL FROM:<a@a>', 'RCPT TO:<b@b>', 'DATA'], never)
            .then(() =>
              client
                .text([Buffer.from('hello\r\n')], never)
                .then((reply) => Promise.reject(new Error(String(reply.code)))),
            ),
        );
      }
      await allClosed();
    });
  }

  test('a server that says its reply letter by letter has no more time for it', async () => {
    let dripping = true;
    const drip: Act = async (socket) => {
      while (dripping) {
        socket.write('2');
        await turns(1);
      }
    };
    const connecting = failure(connect({ greeting: inTurn(raw('220-'), drip) }));
    await until(() => clock.waiting === 1, 'it waits');
    for (let n = 0; n < 6; n++) {
      await turns(5);
      clock.advance(STEP_TIME.greeting / 6);
    }
    assert.match((await connecting).message, /its greeting took more than 60 s/);
    dripping = false;
    await allClosed();
  });

  test('replies that nobody asked for are not hoarded', async () => {
    using client = await connect({
      secureEhlo: inTurn(say('250 scripted.test'), flood(`250 ${'x'.repeat(400)}\r\n`)),
    });
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    await until(() => server.open === 0, 'it is cut off');
    assert.equal(client.usable, false);
    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    assert.ok(grown < 100 * MAX_UNREAD, `${grown} bytes`);
  });

  test('a drop after the dot is told apart from one before it', async () => {
    for (const act of [drop, reset, say('no reply')]) {
      using client = await connect({ dot: act });
      await data(client);
      const error = await failure(client.text([Buffer.from('hello\r\n')], never));
      assert.ok(error instanceof Unconfirmed, error.message);
      assert.equal(last().transactions.length, 1);
    }
    using client = await connect({
      data: inTurn(say('354 go on'), (_socket, bottom) => void setImmediate(() => bottom.resetAndDestroy())),
    });
    await data(client);
    await until(() => !client.usable, 'it is broken');
    const error = await failure(client.text([Buffer.from('hello\r\n')], never));
    assert.ok(!(error instanceof Unconfirmed));
  });

  test('a refusal before the dot is the answer, and a good reply there is not', async () => {
    const early = (line: string) =>
      inTurn(say('354 go on'), (socket) => void setTimeout(() => socket.write(`${line}\r\n`), 20));
    const endless = async function (client: SmtpClient) {
      let pieces = 0;
      const text = function* () {
        for (; pieces < 10_000; pieces++) yield Buffer.alloc(100_000, 'x\r\n');
      };
      return [await client.text(text(), never), pieces] as const;
    };
    {
      using client = await connect({ data: early('552 5.3.4 too big') });
      await data(client);
      const [reply, pieces] = await endless(client);
      assert.equal(reply.code, 552);
      assert.ok(pieces < 10_000, 'the rest was not sent');
      assert.equal(client.usable, false);
    }
    await allClosed();
    assert.deepEqual(last().transactions, []);
    {
      using client = await connect({ data: early('250 2.0.0 taken') });
      await data(client);
      assert.match((await failure(endless(client))).message, /answered before the end/);
    }
    await allClosed();
    assert.deepEqual(last().transactions, [], 'no dot was sent');
  });

  test('what was said before TLS beyond its answer is refused, in one packet or behind it', async () => {
    const injected = inTurn(raw('220 go ahead\r\n250 scripted.test\r\n'));
    const error = await failure(connect({ starttls: injected }));
    assert.ok(error instanceof TlsRefused);
    assert.match(error.message, /said more before TLS/);
    assert.ok(
      (await failure(connect({ starttls: raw('220 go ahead\r\n2') }))) instanceof TlsRefused,
      'half a reply',
    );
    // In a packet of its own it is no TLS.
    const later = await failure(connect({ handshake: say('250 scripted.test', '250 more') }));
    assert.ok(later instanceof TlsRefused, later.message);
    await allClosed();
  });

  test('without STARTTLS there is no mail, and that is for now', async () => {
    for (const script of [
      { ehlo: say('250-scripted.test', '250 SIZE 1000') },
      { ehlo: say('502 5.5.1 what?') },
      { starttls: say('454 4.7.0 no TLS today') },
      { starttls: say('554 5.7.0 no TLS ever') },
      { starttls: say('250 ok') },
    ] as SmtpScript[]) {
      const error = await failure(connect(script));
      assert.ok(error instanceof TlsRefused, error.message);
      assert.equal(seen('MAIL'), false);
    }
    const { reply } = (await failure(connect({ starttls: say('554 5.7.0 no TLS ever') }))) as TlsRefused;
    assert.equal(reply?.text, 'no TLS ever');
  });

  test('a refusal of the connection or of EHLO is told with what was said', async () => {
    for (const script of [
      { greeting: say('554 5.7.1 not you') },
      { ehlo: say('554 5.7.1 not you') },
      { secureEhlo: say('554-5.7.1 not', '554 5.7.1 you') },
    ] as SmtpScript[]) {
      const error = await failure(connect(script));
      assert.ok(error instanceof SmtpRefused, error.message);
      assert.equal(error.reply?.code, 554);
      assert.equal(error.reply.text, 'not you');
    }
    await allClosed();
  });

  test('421 and a closed connection is told with what was said, at whatever step', async () => {
    const away = inTurn(say('421 4.3.2 shutting down'), drop);
    for (const script of [{ mail: away }, { rcpt: () => away }, { data: away }] as SmtpScript[]) {
      for (const offers of [['PIPELINING'], []]) {
        using client = await connect({ ...script, offers });
        const error = await failure(
          (async () => {
            for (const line of ['MAIL FROM:<a@a>', 'RCPT TO:<b@b>', 'DATA', 'RSET']) {
              await client.commands([line], never);
              await until(() => server.open === 1 || !client.usable, 'it is closed');
            }
            for (;;) await client.commands(['NOOP'], never);
          })(),
        );
        assert.ok(error instanceof SmtpRefused, error.message);
        assert.equal(error.reply?.text, 'shutting down');
      }
    }
  });

  describe('certificates', () => {
    const bad: readonly (readonly [CertificateKind, RegExp])[] = [
      ['expired', /expired/],
      ['another', /does not match|altnames/],
      ['unknown', /self-signed/],
    ];
    for (const [kind, text] of bad) {
      test(`${kind}: refused, with the reason`, async () => {
        server.certificate = await hosts.certificate('mx.test', kind);
        const error = await failure(connect());
        assert.ok(error instanceof TlsRefused);
        assert.match(error.message, text);
        await allClosed();
        assert.equal(seen('MAIL'), false);
      });

      test(`${kind}: taken where it need not be verified, and encrypted all the same`, async () => {
        server.certificate = await hosts.certificate('mx.test', kind);
        using _client = await connect({}, hosts.tlsFor('_x.test', 'mx.test'));
        assert.equal(last().secure, true);
      });
    }

    test('TLS 1.1 is refused', async () => {
      const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      await using ancient = await createScriptedSmtp(await hosts.certificate('mx.test', 'good'), {}, old);
      hosts.places.set('old.test:25', ancient.port);
      const parts = { dial: hosts.dial, clock: createTestClock(), helo: 'one.test' };
      const loose = {
        rejectUnauthorized: false,
        minVersion: 'TLSv1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      } as const;
      (await connectSmtp(parts, 'old.test', loose, never))[Symbol.dispose]();
      const error = await failure(connectSmtp(parts, 'old.test', hosts.tlsFor('_x.test', 'old.test'), never));
      assert.ok(error instanceof TlsRefused);
      assert.doesNotMatch(error.message, /\.c:\d/, 'for people');
    });
  });
});
