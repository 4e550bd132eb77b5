import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { DnsMissing, DnsTrouble } from '../../src/dns/resolver.ts';
import type { MailExchange } from '../../src/dns/resolver.ts';
import { HEAD_START } from '../../src/outbound/channel.ts';
import type { Consignment, RecipientOutcome } from '../../src/outbound/consignment.ts';
import { createOutbound } from '../../src/outbound/outbound.ts';
import type { Outbound } from '../../src/outbound/outbound.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { drop, hang, inTurn, reset, say } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedHosts } from '../harness/scripted-hosts.ts';
import { TAKEN } from '../harness/scripted-mxdeliv.ts';
import type { MxdelivAnswer } from '../harness/scripted-mxdeliv.ts';
import type { ScriptedSmtp, SmtpScript } from '../harness/scripted-smtp.ts';
import { turns, until } from '../harness/until.ts';

const never = new AbortController().signal;
const missing = (code: 'ENOTFOUND' | 'ENODATA') =>
  new DnsMissing(code, { cause: Object.assign(new Error(code), { code }) });

describe('sending to other relays', { timeout: 90_000 }, () => {
  let hosts: ScriptedHosts;
  let clock: TestClock;
  let outbound: Outbound;
  /** What DNS says of a domain; what is not here does not exist. */
  let mx: Map<string, readonly MailExchange[] | Error>;

  beforeEach(async () => {
    hosts = await createScriptedHosts();
    clock = createTestClock();
    mx = new Map();
    outbound = start();
  });
  afterEach(async () => {
    outbound[Symbol.dispose]();
    await hosts[Symbol.asyncDispose]();
  });

  const start = (unverifiedDomains: readonly string[] = []) =>
    createOutbound({
      helo: 'one.test',
      resolver: {
        txt: () => Promise.reject(missing('ENODATA')),
        addresses: () => Promise.reject(missing('ENODATA')),
        mx: async (name) => {
          const found = mx.get(name) ?? missing('ENOTFOUND');
          if (found instanceof Error) throw found;
          return found;
        },
      },
      lookup: { ask: () => Promise.reject(new Error('DANE is off')) },
      dialler: hosts.dialler,
      trustedCa: hosts.authority.cert,
      unverifiedDomains,
      mtaSts: 'off',
      dane: 'off',
      clock,
      // Equal ones in the order in which DNS has them.
      random: (bytes) => Buffer.alloc(bytes),
      events: { mtaStsMismatch: () => {}, daneMismatch: () => {} },
    });
  const exchange = (...names: readonly string[]): readonly MailExchange[] =>
    names.map((one, n) => ({ exchange: one, preference: 10 * n }));
  const consignment = (recipients = ['a@x.test'], more: Partial<Consignment> = {}): Consignment => ({
    destination: 'x.test',
    sender: 'alice@one.test',
    recipients,
    message: Buffer.from('Subject: [...]\r\n\r\nhello\r\n'),
    ...more,
  });
  const send = (given = consignment(), signal = never) => outbound.send(given, signal);
  const brief = (outcomes: readonly RecipientOutcome[]) =>
    outcomes.map((outcome) =>
      outcome.kind === 'delivered'
        ? `${outcome.via} ${outcome.host}`
        : `${outcome.kind} ${outcome.problem.status}`,
    );
  const problemOf = ([outcome]: readonly RecipientOutcome[]) => {
    assert.ok(outcome && outcome.kind !== 'delivered', JSON.stringify(outcome));
    return outcome.problem;
  };
  const many = (count: number) => Array.from({ length: count }, (_, n) => `user${n}@x.test`);
  /** The head start of 443 is over as soon as it is begun. */
  const hurry = async <T>(sending: Promise<T>): Promise<T> => {
    let over = false;
    void sending.finally(() => (over = true)).catch(() => {});
    while (!over) {
      if (clock.nextDue === clock.now() + HEAD_START) clock.advance(HEAD_START);
      await turns(1);
    }
    return sending;
  };

  describe('which host', () => {
    test('the preferred one alone, where it takes the message', async () => {
      mx.set('x.test', exchange('one.mx.test', 'two.mx.test'));
      const [one, two] = [await hosts.smtp('one.mx.test'), await hosts.smtp('two.mx.test')];
      assert.deepEqual(brief(await send()), ['smtp one.mx.test']);
      assert.deepEqual([one.transactions.length, two.connections.length], [1, 0]);
    });

    const lame: readonly (readonly [string, SmtpScript | undefined])[] = [
      ['is closed', undefined],
      ['drops at once', { greeting: drop }],
      ['resets in the handshake', { handshake: reset }],
      ['has no TLS', { ehlo: say('250 one.mx.test') }],
      ['refuses TLS', { starttls: say('554 5.7.0 no') }],
      ['refuses us for good', { greeting: say('554 5.7.1 not you') }],
      ['is too busy', { greeting: say('421 4.3.2 too busy') }],
      ['drops at MAIL', { mail: drop }],
      ['drops at RCPT', { rcpt: () => drop }],
      ['drops at DATA', { data: drop }],
      ['goes away in the middle', { rcpt: () => inTurn(say('421 4.3.2 going down'), drop) }],
    ];
    for (const [what, script] of lame) {
      test(`the next one, where the preferred one ${what}`, async () => {
        mx.set('x.test', exchange('one.mx.test', 'two.mx.test'));
        if (script) await hosts.smtp('one.mx.test', script);
        const two = await hosts.smtp('two.mx.test');
        assert.deepEqual(brief(await send()), ['smtp two.mx.test']);
        assert.equal(two.transactions.length, 1);
      });
    }

    test('the next one, where the certificate is not good', async () => {
      mx.set('x.test', exchange('one.mx.test', 'two.mx.test'));
      const [one] = [await hosts.smtp('one.mx.test'), await hosts.smtp('two.mx.test')];
      for (const kind of ['expired', 'another', 'unknown'] as const) {
        one.certificate = await hosts.certificate('one.mx.test', kind);
        assert.deepEqual(brief(await send()), ['smtp two.mx.test'], kind);
      }
    });

    const final: readonly (readonly [string, SmtpScript, string])[] = [
      ['refuses the sender', { mail: say('550 5.7.1 no') }, 'failed 5.7.1'],
      ['greylists', { rcpt: () => say('451 4.7.1 later') }, 'deferred 4.7.1'],
      ['refuses the recipient', { rcpt: () => say('550 5.1.1 no') }, 'failed 5.1.1'],
      ['refuses DATA', { data: say('451 4.3.0 no') }, 'deferred 4.3.0'],
      ['refuses the message', { dot: say('554 5.7.1 no') }, 'failed 5.7.1'],
      ['drops after the dot', { dot: drop }, 'deferred 4.4.2'],
      ['talks nonsense after the dot', { dot: say('OK') }, 'deferred 4.4.2'],
    ];
    for (const [what, script, outcome] of final) {
      test(`no other one, where the preferred one ${what}`, async () => {
        mx.set('x.test', exchange('one.mx.test', 'two.mx.test'));
        await hosts.smtp('one.mx.test', script);
        const two = await hosts.smtp('two.mx.test');
        assert.deepEqual(brief(await send()), [outcome]);
        assert.equal(two.connections.length, 0);
      });
    }

    test('where all fail: for good only where all refuse for good, else what the preferred one failed of', async () => {
      mx.set('x.test', exchange('one.mx.test', 'two.mx.test'));
      const refuses: SmtpScript = { greeting: say('554 5.7.1 not you') };
      const one = await hosts.smtp('one.mx.test', refuses);
      const two = await hosts.smtp('two.mx.test', refuses);
      assert.deepEqual(brief(await send()), ['failed 5.7.1']);
      one.script = { greeting: say('421 4.3.2 in a minute') };
      const outcomes = await send();
      assert.deepEqual(brief(outcomes), ['deferred 4.3.2']);
      assert.equal(problemOf(outcomes).host, 'one.mx.test');
      [one.script, two.script] = [refuses, { greeting: say('421 4.3.2 in a minute') }];
      assert.deepEqual(brief(await send()), ['deferred 4.3.2'], 'the backup may take it');
    });

    test('an address literal is that address, whose certificate need not be good', async () => {
      const server = await hosts.smtp('127.0.0.1');
      server.certificate = await hosts.certificate('whatever.test', 'unknown');
      const outcomes = await send(consignment(['a@[127.0.0.1]'], { destination: '[127.0.0.1]' }));
      assert.deepEqual(brief(outcomes), ['smtp 127.0.0.1']);
    });

    test('a domain without MX records is its own host', async () => {
      mx.set('x.test', missing('ENODATA'));
      await hosts.smtp('x.test');
      assert.deepEqual(brief(await send()), ['smtp x.test']);
    });

    test('no such domain, null MX, neither MX nor address: for good, in plain words', async () => {
      const gone = await send();
      assert.deepEqual(brief(gone), ['failed 5.1.2']);
      assert.equal(problemOf(gone).text, 'Domain x.test does not exist');
      mx.set('x.test', [{ exchange: '', preference: 0 }]);
      assert.deepEqual(brief(await send()), ['failed 5.1.10']);
      mx.set('x.test', missing('ENODATA'));
      outbound[Symbol.dispose]();
      // Names are looked up.
      hosts = { ...hosts, dialler: (host, port) => ({ host, port }) };
      outbound = start();
      const nowhere = await send();
      assert.deepEqual(brief(nowhere), ['failed 5.1.2']);
      assert.match(problemOf(nowhere).text, /x\.test takes no mail: it has no mail server and no address/);
      mx.set('x.test', exchange('one.mx.test'));
      assert.deepEqual(brief(await send()), ['deferred 4.4.1'], 'a host that has no address may get one');
    });

    test('DNS that fails: for now, and says why', async () => {
      mx.set('x.test', new DnsTrouble('x.test MX: SERVFAIL'));
      const outcomes = await send();
      assert.deepEqual(brief(outcomes), ['deferred 4.4.3']);
      assert.match(problemOf(outcomes).text, /SERVFAIL/);
    });

    test('a fault of ours is never for good', async () => {
      mx.set('x.test', new TypeError('oops'));
      const outcomes = await send();
      assert.equal(outcomes[0]?.kind, 'deferred');
    });
  });

  describe('by /mxdeliv', () => {
    beforeEach(() => mx.set('x.test', exchange('mx.test')));

    test('where it is there; on one connection, and 25 hears nothing', async () => {
      const web = await hosts.mxdeliv('mx.test');
      const mail = await hosts.smtp('mx.test');
      for (let n = 0; n < 3; n++) assert.deepEqual(brief(await send()), ['mxdeliv mx.test']);
      assert.deepEqual([web.requests.length, web.connections, mail.connections.length], [3, 1, 0]);
    });

    test('a hundred recipients a request', async () => {
      const web = await hosts.mxdeliv('mx.test');
      const all = many(250);
      assert.deepEqual(
        brief(await send(consignment(all))),
        all.map(() => 'mxdeliv mx.test'),
      );
      assert.deepEqual(
        web.requests.map(({ recipients }) => recipients.length),
        [100, 100, 50],
      );
      assert.deepEqual(
        web.requests.flatMap(({ recipients }) => recipients),
        all,
      );
    });

    test('a refusal that is a reply of SMTP is that reply, for whom it concerns', async () => {
      const web = await hosts.mxdeliv('mx.test', ({ recipients }) =>
        recipients.length < 100
          ? { status: 400, body: '523 Encryption Needed: Invalid Unencrypted Mail' }
          : TAKEN,
      );
      const mail = await hosts.smtp('mx.test');
      const outcomes = await send(consignment(many(150)));
      assert.deepEqual(
        brief(outcomes),
        many(150).map((_, n) => (n < 100 ? 'mxdeliv mx.test' : 'failed 5.0.0')),
      );
      assert.equal(problemOf(outcomes.slice(100)).reply, '523 Encryption Needed: Invalid Unencrypted Mail');
      web.answer = () => ({ status: 400, body: '451 4.7.5 later' });
      assert.deepEqual(brief(await send()), ['deferred 4.7.5']);
      assert.equal(mail.connections.length, 0);
    });

    const notThere: readonly MxdelivAnswer[] = [
      { status: 404 },
      { status: 405 },
      { status: 400, body: 'bad request' },
      { status: 500 },
      { status: 502 },
      { status: 503 },
      { status: 200, body: '<html>' },
    ];
    for (const answer of notThere) {
      test(`${JSON.stringify(answer)}: 25 at once, and for half an hour`, async () => {
        const web = await hosts.mxdeliv('mx.test', () => answer);
        const mail = await hosts.smtp('mx.test');
        assert.deepEqual(brief(await send()), ['smtp mx.test']);
        assert.deepEqual(brief(await send()), ['smtp mx.test']);
        assert.deepEqual([web.requests.length, mail.connections.length], [1, 1]);
        clock.advance(30 * 60_000);
        web.answer = () => TAKEN;
        assert.deepEqual(brief(await send()), ['mxdeliv mx.test']);
      });
    }

    test('where port 25 is closed to us, 443 is asked again the next time', async () => {
      const web = await hosts.mxdeliv('mx.test', () => ({ status: 502 }));
      assert.deepEqual(brief(await send()), ['deferred 4.4.1']);
      web.answer = () => TAKEN;
      assert.deepEqual(brief(await send()), ['mxdeliv mx.test']);
    });

    test('413 is of that message alone', async () => {
      const web = await hosts.mxdeliv('mx.test', ({ body }) =>
        body.length > 1000 ? { status: 413 } : TAKEN,
      );
      await hosts.smtp('mx.test');
      const large = consignment(['a@x.test'], { message: Buffer.alloc(2000, 'x\r\n') });
      assert.deepEqual(brief(await send(large)), ['smtp mx.test']);
      assert.deepEqual(brief(await send()), ['mxdeliv mx.test']);
      assert.equal(web.requests.length, 2);
    });

    test('no answer: nobody else is to have it, and the next one goes by 25', async () => {
      mx.set('x.test', exchange('mx.test', 'backup.test'));
      for (const answer of [drop, reset, say('no HTTP')]) {
        outbound[Symbol.dispose]();
        outbound = start();
        const web = await hosts.mxdeliv('mx.test', () => answer);
        const mail = await hosts.smtp('mx.test');
        const backup = await hosts.smtp('backup.test');
        const outcomes = await send();
        assert.deepEqual(brief(outcomes), ['deferred 4.4.2']);
        assert.match(
          problemOf(outcomes).text,
          /mx\.test did not confirm the message, which it may have taken: /,
        );
        assert.deepEqual([mail.connections.length, backup.connections.length], [0, 0]);
        assert.deepEqual(brief(await send()), ['smtp mx.test']);
        assert.equal(web.requests.length, 1);
      }
    });

    test('a connection that was closed while it waited costs nothing, and makes no second copy', async () => {
      const web = await hosts.mxdeliv('mx.test');
      for (let n = 1; n <= 3; n++) {
        assert.deepEqual(brief(await send()), ['mxdeliv mx.test']);
        await until(() => web.requests.length === n, 'one more');
        web.endIdle();
      }
      assert.deepEqual([web.requests.length, web.connections], [3, 3]);
    });

    test('what one request took stays so, whatever SMTP says to the rest', async () => {
      const all = many(150);
      const answer = ({ recipients }: { recipients: readonly string[] }): MxdelivAnswer =>
        recipients.includes('user100@x.test') ? { status: 404 } : TAKEN;
      for (const [script, rest] of [
        [{}, () => 'smtp mx.test'],
        [
          { rcpt: (_: string, place: number) => (place % 3 === 2 ? say('550 5.1.1 no') : undefined) },
          (n: number) => ((n - 100) % 3 === 2 ? 'failed 5.1.1' : 'smtp mx.test'),
        ],
        [{ dot: drop }, () => 'deferred 4.4.2'],
        [{ dot: say('554 5.7.1 no') }, () => 'failed 5.7.1'],
        [{ greeting: drop }, () => 'deferred 4.4.1'],
        [{ greeting: say('554 5.7.1 no') }, () => 'failed 5.7.1'],
      ] as readonly [SmtpScript, (n: number) => string][]) {
        outbound[Symbol.dispose]();
        outbound = start();
        const web = await hosts.mxdeliv('mx.test', answer);
        const mail = await hosts.smtp('mx.test', script);
        assert.deepEqual(
          brief(await send(consignment(all))),
          all.map((_, n) => (n < 100 ? 'mxdeliv mx.test' : rest(n))),
        );
        assert.deepEqual(
          web.requests.map(({ recipients }) => recipients.length),
          [100, 50],
        );
        const given = mail.connections
          .flatMap(({ commands }) => commands)
          .filter((line) => line.startsWith('RCPT'));
        assert.ok(
          given.every((line) => !line.includes('<user99@')),
          'none of them twice',
        );
      }
    });

    test('an unknown outcome of the second request is not asked of SMTP, the first keeps its own', async () => {
      await hosts.mxdeliv('mx.test', ({ recipients }) => (recipients.length === 100 ? TAKEN : drop));
      const mail = await hosts.smtp('mx.test');
      assert.deepEqual(
        brief(await send(consignment(many(150)))),
        many(150).map((_, n) => (n < 100 ? 'mxdeliv mx.test' : 'deferred 4.4.2')),
      );
      assert.equal(mail.connections.length, 0);
    });

    test('behind an unknown outcome of the first request the rest goes by SMTP, the first does not', async () => {
      const web = await hosts.mxdeliv('mx.test', () => drop);
      const mail = await hosts.smtp('mx.test');
      assert.deepEqual(
        brief(await send(consignment(many(150)))),
        many(150).map((_, n) => (n < 100 ? 'deferred 4.4.2' : 'smtp mx.test')),
      );
      assert.equal(web.requests.length, 1);
      assert.deepEqual(mail.transactions[0]?.recipients, many(150).slice(100));
    });

    test('many at once: each arrives once, and no connection is left over', async () => {
      const web = await hosts.mxdeliv('mx.test');
      const all = await Promise.all(many(40).map((recipient) => hurry(send(consignment([recipient])))));
      assert.deepEqual(
        brief(all.flat()),
        all.map(() => 'mxdeliv mx.test'),
      );
      assert.deepEqual(web.requests.flatMap(({ recipients }) => recipients).toSorted(), many(40).toSorted());
      await until(() => web.open <= 4, 'what is not needed is closed');
      outbound[Symbol.dispose]();
      await until(() => web.open === 0, 'all are closed');
    });
  });

  describe('by SMTP', () => {
    let mail: ScriptedSmtp;
    beforeEach(async () => {
      mx.set('x.test', exchange('mx.test'));
      mail = await hosts.smtp('mx.test');
    });

    test('one connection for one message after another', async () => {
      for (let n = 0; n < 3; n++) assert.deepEqual(brief(await send()), ['smtp mx.test']);
      assert.deepEqual([mail.connections.length, mail.transactions.length], [1, 3]);
    });

    test('also behind a message that was refused', async () => {
      mail.script = { rcpt: () => say('451 4.7.1 later') };
      assert.deepEqual(brief(await send()), ['deferred 4.7.1']);
      mail.script = { dot: say('554 5.7.1 no') };
      assert.deepEqual(brief(await send()), ['failed 5.7.1']);
      mail.script = {};
      assert.deepEqual(brief(await send()), ['smtp mx.test']);
      assert.equal(mail.connections.length, 1);
    });

    test('a connection that broke while it waited costs nothing, and makes no second copy', async () => {
      await send();
      for (const rset of [
        drop,
        reset,
        say('421 4.4.2 idle for too long'),
        say('500 what?'),
        inTurn(say('421 bye'), drop),
      ]) {
        mail.script = { rset };
        const before = mail.connections.length;
        assert.deepEqual(brief(await send()), ['smtp mx.test']);
        assert.equal(mail.connections.length, before + 1);
      }
      assert.equal(mail.transactions.length, 6);
    });

    test('what was not verified is not used for who must verify', async () => {
      mx.set('_y.test', exchange('mx.test'));
      mail.certificate = await hosts.certificate('mx.test', 'unknown');
      assert.deepEqual(brief(await send(consignment(['a@_y.test'], { destination: '_y.test' }))), [
        'smtp mx.test',
      ]);
      const outcomes = await send();
      assert.deepEqual(brief(outcomes), ['deferred 4.7.5']);
      assert.match(problemOf(outcomes).text, /no safe TLS with mx\.test: self-signed certificate/);
      assert.equal(mail.transactions.length, 1);
    });

    test('a listed domain is sent to whatever the certificate', async () => {
      outbound[Symbol.dispose]();
      outbound = start(['x.test']);
      mail.certificate = await hosts.certificate('mx.test', 'expired');
      assert.deepEqual(brief(await send()), ['smtp mx.test']);
    });

    test('many at once: each arrives once, and few connections wait afterwards', async () => {
      const all = await Promise.all(many(40).map((recipient) => send(consignment([recipient]))));
      assert.deepEqual(
        brief(all.flat()),
        all.map(() => 'smtp mx.test'),
      );
      assert.equal(mail.transactions.length, 40);
      await until(() => mail.open <= 4, 'what is not needed is closed');
      outbound[Symbol.dispose]();
      await until(() => mail.open === 0, 'all are closed');
    });
  });

  describe('the end', () => {
    test('the signal cuts off at once whatever it is at, and what had no outcome is deferred', async () => {
      const scripts: readonly SmtpScript[] = [
        { greeting: hang },
        { handshake: hang },
        { mail: hang },
        { dot: hang },
      ];
      mx.set('x.test', exchange('mx.test', 'backup.test'));
      const backup = await hosts.smtp('backup.test');
      for (const script of scripts) {
        const mail = await hosts.smtp('mx.test', script);
        const cut = new AbortController();
        const sending = send(consignment(), cut.signal);
        await until(() => mail.open === 1, 'it has begun');
        await turns();
        cut.abort(new Error('shutting down'));
        assert.match((await sending)[0]?.kind ?? '', /deferred/);
        await until(() => mail.open === 0, 'the connection is closed');
      }
      assert.equal(backup.connections.length, 0);
    });

    test('also where DNS hangs', async () => {
      const cut = new AbortController();
      outbound[Symbol.dispose]();
      mx.set('x.test', exchange('mx.test'));
      const sending = createSilent().send(consignment(), cut.signal);
      await turns();
      cut.abort(new Error('shutting down'));
      assert.equal((await sending)[0]?.kind, 'deferred');
    });

    test('of the whole: nothing is left open', async () => {
      mx.set('x.test', exchange('mx.test'));
      mx.set('y.test', exchange('mx.y.test'));
      const web = await hosts.mxdeliv('mx.test');
      const mail = await hosts.smtp('mx.y.test');
      await send();
      await send(consignment(['a@y.test'], { destination: 'y.test' }));
      mail.script = { dot: hang };
      const sending = send(consignment(['b@y.test'], { destination: 'y.test' }));
      await until(() => mail.transactions.length === 2, 'it is under way');
      outbound[Symbol.dispose]();
      assert.equal((await sending)[0]?.kind, 'deferred');
      await until(() => web.open === 0 && mail.open === 0, 'all are closed');
      assert.equal(clock.waiting, 0, 'no timer is left');
      assert.equal((await send())[0]?.kind, 'deferred', 'and nothing is begun');
      assert.equal(web.connections, 1);
    });
  });

  const createSilent = (): Outbound =>
    createOutbound({
      helo: 'one.test',
      resolver: { txt: () => hangs, addresses: () => hangs, mx: () => hangs },
      lookup: { ask: () => hangs },
      dialler: hosts.dialler,
      trustedCa: undefined,
      unverifiedDomains: [],
      mtaSts: 'off',
      dane: 'off',
      clock,
      random: (bytes) => Buffer.alloc(bytes),
      events: { mtaStsMismatch: () => {}, daneMismatch: () => {} },
    });
  const hangs = new Promise<never>(() => {});
});
