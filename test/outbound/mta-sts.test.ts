import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { day, hour, minute, second } from '../../src/clock.ts';
import { DnsMissing, DnsTrouble } from '../../src/dns/resolver.ts';
import {
  createMtaSts,
  FETCH_TIME,
  MAX_AGE,
  matchesPolicy,
  MAX_POLICY,
  parsePolicy,
} from '../../src/outbound/mta-sts.ts';
import type { MtaSts, MtaStsMode } from '../../src/outbound/mta-sts.ts';
import { Stopped } from '../../src/outbound/problem.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { drop, hang, raw, reset, say } from '../harness/scripted-act.ts';
import type { Act } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedMxdeliv } from '../harness/scripted-mxdeliv.ts';
import { turns, until } from '../harness/until.ts';

const policyText = (mode: string, mx: readonly string[], maxAge = 604_800) =>
  ['version: STSv1', `mode: ${mode}`, ...mx.map((one) => `mx: ${one}`), `max_age: ${maxAge}`, ''].join(
    '\r\n',
  );

test('a policy is read', () => {
  assert.deepEqual(parsePolicy(policyText('enforce', ['mx.x.test', '*.Mail.test'])), {
    mode: 'enforce',
    mx: ['mx.x.test', '*.mail.test'],
    maxAge: 604_800,
  });
  assert.deepEqual(parsePolicy('max_age:1\nmode : testing\nversion:STSv1\nmx:a\nextra: b\nmode: none'), {
    mode: 'testing',
    mx: ['a'],
    maxAge: 1,
  });
  assert.deepEqual(parsePolicy(policyText('none', [])), { mode: 'none', mx: [], maxAge: 604_800 });
  assert.equal(parsePolicy(policyText('enforce', ['a'], 10 ** 12))?.maxAge, MAX_AGE);
});

test('what is none is none', () => {
  for (const text of [
    '',
    '<html>',
    policyText('enforce', []),
    policyText('strict', ['a']),
    policyText('enforce', ['a'], -1),
    policyText('enforce', ['a'], 1.5),
    policyText('enforce', ['a']).replace('STSv1', 'STSv2'),
    policyText('enforce', ['a']).replace('max_age', 'maxage'),
  ])
    assert.equal(parsePolicy(text), undefined, text);
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => assert.equal(parsePolicy(text), undefined)));
});

test('a host is matched by its name, or by its parent for the leftmost label alone', () => {
  const policy = { mode: 'enforce', mx: ['mx.x.test', '*.mail.test'], maxAge: 1 } as const;
  for (const host of ['mx.x.test', 'a.mail.test']) assert.equal(matchesPolicy(policy, host), true, host);
  for (const host of [
    'x.test',
    'a.mx.x.test',
    'mail.test',
    'a.b.mail.test',
    'mail.test.a',
    'xmail.test',
    '*.mail.test.a',
  ])
    assert.equal(matchesPolicy(policy, host), false, host);
});

describe('MTA-STS', { timeout: 60_000 }, () => {
  const POLICY_HOST = 'mta-sts.x.test';
  const never = new AbortController().signal;
  let hosts: ScriptedHosts;
  let server: ScriptedMxdeliv;
  let clock: TestClock;
  let events: string[];
  let txt: () => Promise<string[][]>;
  let asked: number;

  beforeEach(async () => {
    hosts = await createScriptedHosts();
    server = await hosts.mxdeliv(POLICY_HOST, () => ({
      status: 200,
      body: policyText('enforce', ['good.x.test']),
    }));
    clock = createTestClock();
    events = [];
    asked = 0;
    txt = async () => [['v=STSv1; ', 'id=1;'], ['something else']];
  });
  afterEach(async () => {
    await until(() => server.open === 0, 'no connection is left');
    await until(() => clock.waiting === 0, 'no timer is left');
    await hosts[Symbol.asyncDispose]();
  });

  const start = (mode: MtaStsMode) =>
    createMtaSts({
      mode,
      resolver: { txt: async () => (asked++, txt()) },
      dial: hosts.dial,
      tlsFor: hosts.tlsFor,
      clock,
      events: {
        mtaStsMismatch: (destination, named) => void events.push(`${destination} ${named.join(' ')}`),
      },
    });
  const both = ['good.x.test', 'bad.x.test'];
  /** Asks once, and waits until the policy that is fetched by that is known, or that there is none. */
  const learn = async (sts: MtaSts, requests = 1) => {
    assert.deepEqual(sts.filter('x.test', both, never), both, 'nobody waits for a policy');
    await until(() => server.requests.length === requests && server.open === 0, 'it is fetched');
    await turns(5);
  };

  test('fetched beside the first message, it counts from the second on', async () => {
    const sts = start('enforce');
    await learn(sts);
    const [request] = server.requests;
    assert.deepEqual([request?.method, request?.path], ['GET', '/.well-known/mta-sts.txt']);
    assert.equal(request?.headers.host, POLICY_HOST);
    assert.deepEqual(sts.filter('x.test', both, never), ['good.x.test']);
    assert.deepEqual(events, ['x.test bad.x.test']);
    assert.deepEqual(sts.filter('x.test', ['good.x.test'], never), ['good.x.test']);
    assert.equal(events.length, 1, 'nothing to tell of');
  });

  test('where no host is allowed it is for now, and says why', async () => {
    const sts = start('enforce');
    await learn(sts);
    assert.throws(
      () => sts.filter('x.test', ['bad.x.test'], never),
      (error) => {
        assert.ok(error instanceof Stopped);
        assert.deepEqual([error.outcome, error.problem.status], ['deferred', '4.7.5']);
        assert.match(error.problem.text, /no MX host of x\.test is in its MTA-STS policy/);
        return true;
      },
    );
  });

  test('to report is to let all through', async () => {
    const sts = start('report');
    await learn(sts);
    assert.deepEqual(sts.filter('x.test', ['bad.x.test'], never), ['bad.x.test']);
    assert.deepEqual(events, ['x.test bad.x.test']);
  });

  test('a policy in testing is reported, not enforced; none is no policy', async () => {
    for (const [mode, told] of [
      ['testing', 1],
      ['none', 0],
    ] as const) {
      server.answer = () => ({ status: 200, body: policyText(mode, ['good.x.test']) });
      events.length = 0;
      const sts = start('enforce');
      await learn(sts, server.requests.length + 1);
      assert.deepEqual(sts.filter('x.test', ['bad.x.test'], never), ['bad.x.test']);
      assert.equal(events.length, told, mode);
    }
  });

  test('nobody is asked where it is off, for names with an underscore and for addresses', async () => {
    start('off').filter('x.test', both, never);
    const sts = start('enforce');
    sts.filter('_x.test', both, never);
    sts.filter('[192.0.2.1]', ['192.0.2.1'], never);
    await turns();
    assert.equal(asked, 0);
  });

  test('at first sight it is asked for once, however many messages there are', async () => {
    const sts = start('enforce');
    for (let n = 0; n < 10; n++) sts.filter('x.test', both, never);
    await learn(sts);
    assert.equal(asked, 1);
  });

  test('it is fetched anew once a day, and counts for its whole life where that fails', async () => {
    const sts = start('enforce');
    await learn(sts);
    clock.advance(day - 1);
    sts.filter('x.test', ['good.x.test'], never);
    await turns();
    assert.equal(asked, 1);
    clock.advance(1);
    server.answer = () => ({ status: 404 });
    assert.deepEqual(sts.filter('x.test', both, never), ['good.x.test']);
    await until(() => server.requests.length === 2 && server.open === 0, 'it is asked for');
    await turns(5);
    assert.deepEqual(sts.filter('x.test', both, never), ['good.x.test'], 'it still counts');
    assert.equal(asked, 2);
    clock.advance(hour);
    sts.filter('x.test', ['good.x.test'], never);
    await until(() => server.requests.length === 3 && server.open === 0, 'in an hour again');
    clock.advance(7 * day);
    assert.deepEqual(sts.filter('x.test', both, never), both, 'its life is over');
    await until(() => server.requests.length === 4 && server.open === 0, 'it is looked for');
  });

  test('a mismatch makes it be looked for anew, not more than every few minutes (RFC 8461 5.1)', async () => {
    const sts = start('enforce');
    await learn(sts);
    sts.filter('x.test', both, never);
    await turns();
    assert.equal(asked, 1, 'it is fresh');
    clock.advance(5 * minute);
    server.answer = () => ({ status: 200, body: policyText('enforce', both) });
    assert.deepEqual(sts.filter('x.test', both, never), ['good.x.test']);
    await until(() => server.requests.length === 2 && server.open === 0, 'it is fetched anew');
    await turns(5);
    assert.deepEqual(sts.filter('x.test', both, never), both);
    assert.equal(asked, 2);
  });

  const none: readonly (readonly [string, () => Promise<string[][]>])[] = [
    ['no record', () => Promise.reject(new DnsMissing('x'))],
    ['DNS that fails', () => Promise.reject(new DnsTrouble('x'))],
    ['another record', async () => [['v=spf1 -all']]],
    ['two records', async () => [['v=STSv1; id=1'], ['v=STSv1; id=2']]],
  ];
  for (const [what, records] of none) {
    test(`${what}: there is no policy, and it is looked for in an hour`, async () => {
      txt = records;
      const sts = start('enforce');
      sts.filter('x.test', both, never);
      await turns();
      assert.deepEqual(sts.filter('x.test', both, never), both);
      await turns();
      assert.deepEqual([asked, server.connections], [1, 0]);
      clock.advance(hour);
      sts.filter('x.test', both, never);
      await turns();
      assert.equal(asked, 2);
    });
  }

  const answers: readonly (readonly [string, Act | { status: number; body?: string }])[] = [
    ['a redirect', { status: 301 }],
    ['404', { status: 404, body: policyText('enforce', ['good.x.test']) }],
    ['a page', { status: 200, body: '<html>' }],
    ['too much', { status: 200, body: policyText('enforce', ['good.x.test']) + '#'.repeat(MAX_POLICY) }],
    ['a drop', drop],
    ['a reset', reset],
    ['no HTTP', say('220 hello')],
    [
      'half a policy',
      raw(
        'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nversion: STSv1\r\nmode: enforce\r\nmx: a\r\nmax_age: 1',
      ),
    ],
  ];
  for (const [what, answer] of answers) {
    test(`${what} is no policy, and no fault`, async () => {
      server.answer = () => answer;
      const sts = start('enforce');
      sts.filter('x.test', both, never);
      await until(() => server.requests.length === 1, 'it is asked for');
      if (what === 'half a policy') {
        await turns();
        clock.advance(FETCH_TIME);
      }
      await until(() => server.open === 0, 'it is over');
      await turns();
      assert.deepEqual(sts.filter('x.test', ['bad.x.test'], never), ['bad.x.test']);
      assert.equal(asked, 1, 'not again at once');
    });
  }

  test('a server that hangs is given up, and delays nobody', async () => {
    server.answer = () => hang;
    const sts = start('enforce');
    sts.filter('x.test', both, never);
    await until(() => server.requests.length === 1, 'it is asked for');
    assert.deepEqual(sts.filter('x.test', both, never), both);
    clock.advance(FETCH_TIME);
    await until(() => server.open === 0, 'it is given up');
    server.handshake = hang;
    clock.advance(hour + second);
    sts.filter('x.test', both, never);
    await until(() => server.open === 1, 'it is connected');
    clock.advance(FETCH_TIME);
    await until(() => server.open === 0, 'it is given up, too');
  });

  test('the shutdown ends a fetch', async () => {
    server.answer = () => hang;
    const closing = new AbortController();
    const sts = start('enforce');
    sts.filter('x.test', both, closing.signal);
    await until(() => server.requests.length === 1, 'it is asked for');
    closing.abort(new Error('the relay is being stopped'));
    await until(() => server.open === 0, 'it is over');
  });

  test('a certificate that is not good gives no policy', async () => {
    for (const kind of ['expired', 'another', 'unknown'] as const) {
      server.use(await hosts.certificate(POLICY_HOST, kind));
      const sts = start('enforce');
      const before = server.connections;
      sts.filter('x.test', both, never);
      await until(() => server.connections === before + 1 && server.open === 0, 'it is refused');
      await turns();
      assert.deepEqual(sts.filter('x.test', ['bad.x.test'], never), ['bad.x.test'], kind);
    }
    assert.deepEqual(server.requests, []);
  });
});
