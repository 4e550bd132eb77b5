import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createDkimCheck, verifyTasks } from '../../src/authenticity/check.ts';
import { judgeDkim } from '../../src/authenticity/judge.ts';
import { minute } from '../../src/clock.ts';
import { createResolver } from '../../src/dns/resolver.ts';
import type { RefusalCode } from '../../src/errors.ts';
import { createTestClock } from '../harness/clock.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { startOpenDkim } from '../harness/opendkim.ts';
import type { OpenDkimOptions } from '../harness/opendkim.ts';
import { without } from '../harness/peers.ts';
import { signWithPython } from '../harness/python-dkim.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';
import type { DkimKey } from '../harness/signed-mail.ts';

const rsa = makeDkimKey();
const ed25519 = makeDkimKey('ed25519');

/** A message with what signers and verifiers differ on: folds, runs of space, 8-bit bytes, empty lines at the end. */
const plain = Buffer.from(
  [
    'From: =?utf-8?q?Alice?= <alice@example.org>',
    'To: bob@teal.test,',
    '\tcarol@teal.test',
    'Date: Sat, 21 Nov 2026 10:00:00 +0000',
    'Subject:  two  spaces \t',
    'Message-ID: <1@example.org>',
    'Autocrypt: addr=alice@example.org; keydata=AAAA',
    ' BBBB',
    'Content-Type: multipart/encrypted; boundary="b";',
    '  protocol="application/pgp-encrypted"',
    'X-Eight: caf\xc3\xa9 \xff',
    '',
    '--b  \t ',
    '  text \xe4\xf6 with  space\t',
    '.',
    '',
    '--b--',
    '',
    '',
    '',
  ].join('\r\n'),
  'latin1',
);

/** A relay's view: its resolver asks `dns`, its clock is ours to turn. */
async function setUp(context: TestContext) {
  const dns = await createDnsServer();
  context.after(() => dns[Symbol.asyncDispose]());
  const clock = createTestClock(Date.now());
  const check = createDkimCheck({
    clock,
    resolver: createResolver({ servers: [dns.address], timeoutMs: 900 }),
    pool: { run: (_, input) => verifyTasks.verifySignatures(input) },
  });
  dns.setTxt('sel._domainkey.example.org', rsa.record);
  dns.setTxt('ed._domainkey.example.org', ed25519.record);
  async function judge(message: Buffer, from = 'example.org'): Promise<'ok' | RefusalCode> {
    const verdict = judgeDkim(await check(message), from);
    return verdict.ok ? 'ok' : verdict.refusal.code;
  }
  return { dns, clock, judge };
}

function edit(message: Buffer, from: string | RegExp, to: string): Buffer {
  const edited = Buffer.from(message.toString('latin1').replace(from, to), 'latin1');
  assert.notDeepEqual(edited, message, `${String(from)} is there`);
  return edited;
}

const canonicalizations = ['simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed'];

type Sign = (
  options?: Partial<{ domain: string; selector: string; key: DkimKey; canonicalization: string }>,
) => Promise<Buffer>;

/** Ways to break a message, whoever signed it. */
async function breakInEveryWay(context: TestContext, sign: Sign) {
  const { judge, dns } = await setUp(context);
  const signed = await sign();
  assert.equal(await judge(signed), 'ok');
  const missing = await sign({ selector: 'missing' });
  const other = (selector: string) => edit(missing, 's=missing', `s=${selector}`);
  dns.setTxt('revoked._domainkey.example.org', 'v=DKIM1; k=rsa; p=');
  dns.setTxt('wrong._domainkey.example.org', makeDkimKey().record);
  const cases: [string, Buffer, RefusalCode][] = [
    ['a byte of the body', edit(signed, 'with  space', 'With  space'), 'dkim_invalid'],
    ['text after the body', Buffer.concat([signed, Buffer.from('more\r\n')]), 'dkim_invalid'],
    ['a byte of the header', edit(signed, 'carol@', 'Carol@'), 'dkim_invalid'],
    ['the author', edit(signed, '<alice@', '<mallory@'), 'dkim_invalid'],
    ['a second From below', edit(signed, 'X-Eight:', 'From: eve@example.org\r\nX-Eight:'), 'dkim_invalid'],
    [
      'a second From on top',
      Buffer.concat([Buffer.from('From: eve@example.org\r\n'), signed]),
      'dkim_invalid',
    ],
    ['the selector', edit(signed, 's=sel', 's=wrong'), 'dkim_invalid'],
    ['d= of another', edit(signed, 'd=example.org', 'd=example.com'), 'dkim_invalid'],
    ['no key at the selector', missing, 'dkim_invalid'],
    ['a key that is revoked', other('revoked'), 'dkim_invalid'],
    ['the whole signature gone', plain, 'dkim_missing'],
  ];
  for (const [why, message, code] of cases) assert.equal(await judge(message), code, why);
  const subdomain = edit(signed, '<alice@example.org>', '<alice@mail.example.org>');
  assert.equal(
    await judge(subdomain, 'mail.example.org'),
    'dkim_invalid',
    'no domain speaks for those below it',
  );

  dns.fail('missing._domainkey.example.org');
  assert.equal(await judge(missing), 'dkim_temporary', 'SERVFAIL');
  dns.remove('missing._domainkey.example.org');
  dns.silence('missing._domainkey.example.org');
  assert.equal(await judge(missing), 'dkim_temporary', 'no answer');

  assert.ok(dns.questions.length > 0);
  const odd = dns.questions.filter(
    ({ name, type }) => type !== 'TXT' || !/^[a-z]+\._domainkey\.example\.org$/.test(name),
  );
  assert.deepEqual(odd, [], 'nothing but keys is asked of DNS, and nothing about other domains');
}

describe('python3-dkim', { skip: without('python3-dkim') }, () => {
  const sign: Sign = (options = {}) =>
    signWithPython(plain, { domain: 'example.org', selector: 'sel', key: rsa, ...options });

  test('is taken with every canonicalization and key', async (context) => {
    const { judge } = await setUp(context);
    for (const canonicalization of canonicalizations) {
      assert.equal(await judge(await sign({ canonicalization })), 'ok', canonicalization);
      assert.equal(
        await judge(await sign({ canonicalization, key: ed25519, selector: 'ed' })),
        'ok',
        canonicalization,
      );
    }
  });

  test('is refused once anything is broken', (context) => breakInEveryWay(context, sign));

  test('is refused where the signature itself is too weak', async (context) => {
    const { judge, dns } = await setUp(context);
    const short = makeDkimKey('rsa', 768);
    dns.setTxt('short._domainkey.example.org', short.record);
    const here = { domain: 'example.org', selector: 'sel', key: rsa };
    const withLength = await signWithPython(plain, { ...here, length: true });
    const cases: [string, Buffer, 'ok' | RefusalCode][] = [
      ['rsa-sha1', await signWithPython(plain, { ...here, algorithm: 'rsa-sha1' }), 'dkim_invalid'],
      [
        'a key of 768 bits',
        await signWithPython(plain, { ...here, key: short, selector: 'short' }),
        'dkim_invalid',
      ],
      ['l= to the end', withLength, 'ok'],
      ['l= and more text', Buffer.concat([withLength, Buffer.from('unsigned\r\n')]), 'dkim_invalid'],
      ['another domain', await signWithPython(plain, { ...here, domain: 'example.com' }), 'dkim_invalid'],
    ];
    for (const [why, message, code] of cases) assert.equal(await judge(message), code, why);
  });

  test('counts beside a foreign signature, above or below', async (context) => {
    const { judge } = await setUp(context);
    const own = await sign();
    const foreign = { domain: 'list.example', selector: 'x', key: makeDkimKey() };
    assert.equal(await judge(await signWithPython(own, foreign)), 'ok');
    const below = await signWithPython(await signWithPython(plain, foreign), {
      domain: 'example.org',
      selector: 'sel',
      key: rsa,
    });
    assert.equal(await judge(below), 'ok');
  });
});

describe('OpenDKIM', { skip: without('opendkim') }, () => {
  const here = { domain: 'example.org', selector: 'sel', key: rsa.pem };

  async function signWith(options: Partial<OpenDkimOptions> = {}): Promise<Buffer> {
    await using opendkim = await startOpenDkim({ ...here, ...options });
    return await opendkim.sign(plain);
  }

  test('is taken with every canonicalization and key', async (context) => {
    const { judge } = await setUp(context);
    for (const canonicalization of canonicalizations)
      assert.equal(await judge(await signWith({ canonicalization })), 'ok', canonicalization);
    const ed = { key: ed25519.pem, selector: 'ed', algorithm: 'ed25519-sha256' } as const;
    assert.equal(await judge(await signWith({ ...ed, canonicalization: 'relaxed/simple' })), 'ok');
  });

  test('is taken with the settings of an upstream relay', async (context) => {
    const { judge, dns } = await setUp(context);
    dns.setTxt('opendkim._domainkey.example.org', `v=DKIM1;k=rsa;p=${rsa.p};s=email;t=s`);
    const config = [
      'SignHeaders *,+autocrypt,+content-type',
      'OversignHeaders from,reply-to,subject,date,to,cc,resent-date,resent-from,in-reply-to,references,autocrypt',
    ];
    const message = await signWith({ selector: 'opendkim', config });
    assert.equal(await judge(message), 'ok');
    assert.equal(await judge(edit(message, 'Date:', 'Reply-To: eve@example.com\r\nDate:')), 'dkim_invalid');
  });

  test('is refused once anything is broken', (context) =>
    breakInEveryWay(context, ({ key, ...options } = {}) =>
      signWith({ ...options, ...(key && { key: key.pem }) }),
    ));

  test('is refused when it has expired', async (context) => {
    const { judge, clock } = await setUp(context);
    const message = await signWith({ config: ['SignatureTTL 60'] });
    assert.match(message.toString('latin1'), /x=\d+/);
    assert.equal(await judge(message), 'ok');
    clock.advance(7 * minute);
    assert.equal(await judge(message), 'dkim_invalid');
  });
});
