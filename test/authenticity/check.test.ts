import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INLINE_BYTES, createDkimCheck, verifyTasks } from '../../src/authenticity/check.ts';
import { MAX_SIGNATURES } from '../../src/authenticity/facts.ts';
import { KEEP_MS } from '../../src/authenticity/key-finder.ts';
import { judgeDkim } from '../../src/authenticity/judge.ts';
import { DnsMissing, DnsTrouble } from '../../src/dns/resolver.ts';
import { minute } from '../../src/clock.ts';
import { createPool } from '../../src/workers/pool.ts';
import { TaskError } from '../../src/workers/task.ts';
import { createTestClock } from '../harness/clock.ts';
import { canonicalize, makeDkimKey, signMessage } from '../harness/signed-mail.ts';
import type { SigningOptions } from '../harness/signed-mail.ts';
import type { tasks } from './verify-worker.ts';

const rsa = makeDkimKey();
const otherRsa = makeDkimKey();
const ed25519 = makeDkimKey('ed25519');
const here: Omit<SigningOptions, 'key'> = { domain: 'a.test', selector: 's' };
const keyAt = 's._domainkey.a.test';

const header =
  'From: Alice <alice@A.Test>\r\nTo: bob@teal.test\r\nSubject: caf\xe9 \xff\r\n\t folded  twice \r\n';
const body = 'Hello  \t world \r\n\r\n.dot\r\n\xfe bytes\r\n\r\n\r\n';
const plain = latin1(`${header}\r\n${body}`);

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A check over a table of TXT records; a missing name is DnsMissing, an Error is thrown. */
function setUp(records: Record<string, string | Error> = { [keyAt]: rsa.record }) {
  const clock = createTestClock();
  const asked: string[] = [];
  const sentToPool: number[] = [];
  const check = createDkimCheck({
    clock,
    resolver: {
      async txt(name) {
        asked.push(name);
        const answer = records[name] ?? new DnsMissing(name);
        if (answer instanceof Error) throw answer;
        return [[answer]];
      },
    },
    pool: {
      run(_, input) {
        sentToPool.push(input.body.length);
        return verifyTasks.verifySignatures(input);
      },
    },
  });
  return { check, asked, clock, records, sentToPool };
}

function unixTime(ms: number): string {
  return String(Math.floor(ms / 1000));
}

test('all four canonicalizations verify with both kinds of key, 8-bit header fields and all', async () => {
  for (const key of [rsa, ed25519]) {
    const { check } = setUp({ [keyAt]: key.record });
    for (const canonicalization of [
      ['simple', 'simple'],
      ['simple', 'relaxed'],
      ['relaxed', 'simple'],
      ['relaxed', 'relaxed'],
    ] as const) {
      for (const text of ['', '\r\n', ' \r\n', 'no line end', 'x\r\n\r\n \r\n\r\n', body]) {
        const message = signMessage(latin1(`${header}\r\n${text}`), { ...here, key, canonicalization });
        const facts = await check(message);
        assert.deepEqual(facts, {
          fromDomain: 'a.test',
          count: 1,
          signatures: [{ domain: 'a.test', selector: 's', status: 'valid', reason: 'valid' }],
        });
      }
    }
  }
});

test('a message that only its own signer could have written is valid, all else is not', async () => {
  const now = createTestClock().now();
  const signed = (more: Partial<SigningOptions> = {}) => signMessage(plain, { ...here, key: rsa, ...more });
  const edit = (message: Buffer, from: string | RegExp, to: string) => {
    const edited = latin1(message.toString('latin1').replace(from, to));
    assert.notDeepEqual(edited, message);
    return edited;
  };
  const whole = canonicalize(latin1(body), 'relaxed').length;
  const cases: [why: string, message: Buffer, expected: string][] = [
    ['as it was signed', signed(), 'valid'],
    ['with a field on top that nobody signed', Buffer.concat([latin1('X-Hop: 1\r\n'), signed()]), 'valid'],
    [
      'names in another case',
      edit(signed({ names: ['FROM', 'to', 'Subject'] }), 'Subject:', 'SUBJECT:'),
      'valid',
    ],
    ['space that relaxed does not count', edit(signed(), 'Hello  \t world ', 'Hello world\t'), 'valid'],
    [
      'space that simple counts',
      edit(signed({ canonicalization: ['relaxed', 'simple'] }), 'Hello  ', 'Hello '),
      'body hash did not verify',
    ],
    ['a byte of the body', edit(signed(), 'bytes', 'Bytes'), 'body hash did not verify'],
    ['an 8-bit byte of the body', edit(signed(), '\xfe', '\xff'), 'body hash did not verify'],
    ['text after the body', Buffer.concat([signed(), latin1('more\r\n')]), 'body hash did not verify'],
    ['a byte of the header', edit(signed(), 'bob@', 'Bob@'), 'bad signature'],
    ['an 8-bit byte of the header', edit(signed(), 'caf\xe9', 'caf\xe8'), 'bad signature'],
    ['From of the same domain', edit(signed(), 'alice@', 'mallory@'), 'bad signature'],
    [
      'a signed field that is added',
      edit(signed({ names: ['from', 'subject', 'subject'] }), 'To:', 'Subject: 2\r\nTo:'),
      'bad signature',
    ],
    ['a tag of the signature', edit(signed({ tags: { t: '1' } }), 't=1', 't=2'), 'bad signature'],
    ['the signature', edit(signed(), /(\tb=A*)[^A]/, '$1A'), 'bad signature'],
    ['not From', signed({ names: ['to', 'subject'] }), 'From is not signed'],
    ['l= at the end', signed({ bodyLength: whole }), 'valid'],
    [
      'l= at the end, text after',
      Buffer.concat([signed({ bodyLength: whole }), latin1('x')]),
      'l= is not the length of the body',
    ],
    ['l= before the end', signed({ bodyLength: whole - 1 }), 'l= is not the length of the body'],
    ['l=0', signed({ bodyLength: 0 }), 'l= is not the length of the body'],
    ['l= behind the end', signed({ tags: { l: String(whole + 1) } }), 'l= is not the length of the body'],
    ['rsa-sha1', signed({ algorithm: 'rsa-sha1' }), 'rsa-sha1 does not count'],
    ['expired', signed({ tags: { x: unixTime(now - 6 * minute) } }), 'expired'],
    ['hardly expired', signed({ tags: { x: unixTime(now - 4 * minute) } }), 'valid'],
    ['from the future', signed({ tags: { t: unixTime(now + 6 * minute) } }), 'signed in the future'],
    ['from the near future', signed({ tags: { t: unixTime(now + 4 * minute) } }), 'valid'],
    ['i= below d=', signed({ tags: { i: '@sub.a.test' } }), 'valid'],
    ['i= elsewhere', signed({ tags: { i: '@b.test' } }), 'i= is not under d='],
    ['another key', signMessage(plain, { ...here, key: otherRsa }), 'bad signature'],
    ['no key', signed({ selector: 'nowhere' }), 'no key'],
    [
      'Ed25519 where the key is RSA',
      signMessage(plain, { ...here, key: ed25519 }),
      'key is for rsa, signature is ed25519',
    ],
    ['ARC fields signed', signed({ names: ['from', 'arc-seal'] }), 'signs ARC fields'],
    ['lone line feeds', edit(signed(), '.dot\r\n', '.dot\n'), 'bare line feed in the body'],
    ['a header that readers differ on', edit(signed(), 'To:', 'To :'), 'malformed header'],
  ];
  const { check } = setUp();
  for (const [why, message, expected] of cases) {
    const { signatures } = await check(message);
    assert.equal(signatures[0]?.reason, expected, why);
    assert.equal(signatures[0]?.status, expected === 'valid' ? 'valid' : 'invalid', why);
  }
});

test('a second From field is never covered by accident', async () => {
  const { check } = setUp();
  const once = signMessage(plain, { ...here, key: rsa, names: ['from', 'to'] });
  const added = Buffer.concat([latin1('From: eve@a.test\r\n'), once]);
  const facts = await check(added);
  assert.equal(facts.fromDomain, undefined);
  assert.equal(facts.signatures[0]?.status, 'unchecked');
  assert.equal(judgeDkim(facts, 'a.test').ok, false);
});

test('the key says what it is good for', async () => {
  const short = makeDkimKey('rsa', 1000);
  const tiny = makeDkimKey('rsa', 512);
  const just = makeDkimKey('rsa', 1024);
  const signedBy = (key = rsa, tags = {}) => signMessage(plain, { ...here, key, tags });
  const cases: [record: string | Error, message: Buffer, expected: string][] = [
    [just.record, signedBy(just), 'valid'],
    [short.record, signedBy(short), 'RSA key under 1024 bits'],
    [tiny.record, signedBy(tiny), 'RSA key under 1024 bits'],
    [`p=${rsa.p}`, signedBy(), 'valid'],
    [
      `v=DKIM1; h=sha256; s=email; t=s; k=rsa; p=${rsa.p.slice(0, 90)} \t ${rsa.p.slice(90)};`,
      signedBy(),
      'valid',
    ],
    ['v=DKIM1; p=', signedBy(), 'key revoked'],
    [`v=DKIM1; t=y; p=${rsa.p}`, signedBy(), 'key is for testing only'],
    [
      `v=DKIM1; t=s; p=${rsa.p}`,
      signedBy(rsa, { i: '@sub.a.test' }),
      'i= is below d=, which the key forbids',
    ],
    [`v=DKIM1; h=sha1; p=${rsa.p}`, signedBy(), 'key is not for sha256'],
    [`v=DKIM1; s=web; p=${rsa.p}`, signedBy(), 'key is not for mail'],
    [`v=DKIM1; k=ed25519; p=${rsa.p}`, signedBy(ed25519), 'unknown key type'],
    [`v=DKIM1; p=${ed25519.p}`, signedBy(), 'error:1C80007A:Provider routines::invalid digest'],
    ['v=DKIM1; p=AAAA', signedBy(), 'unknown key type'],
    ['v=DKIM1; p=%%%%', signedBy(), 'invalid public key'],
    ['v=spf1 -all', signedBy(), 'no key record'],
    [new DnsMissing('NXDOMAIN'), signedBy(), 'no key'],
    [new DnsTrouble('SERVFAIL'), signedBy(), 'key could not be fetched'],
  ];
  for (const [record, message, expected] of cases) {
    const { check } = setUp({ [keyAt]: record });
    const [fact] = (await check(message)).signatures;
    assert.equal(fact?.reason, expected, String(record).slice(0, 60));
    const status = expected === 'valid' ? 'valid' : record instanceof DnsTrouble ? 'temporary' : 'invalid';
    assert.equal(fact?.status, status);
  }
});

test('only the first ten signatures are looked at, and DNS is asked for those of the From domain alone', async () => {
  const sign = (message: Buffer, domain: string, selector: string) =>
    signMessage(message, { key: rsa, domain, selector, names: ['from', 'to'] });
  let foreign = sign(plain, 'a.test', 's');
  for (let i = 1; i < MAX_SIGNATURES; i++) foreign = sign(foreign, 'b.test', `f${i}`);

  const first = setUp();
  assert.ok(judgeDkim(await first.check(foreign), 'a.test').ok, 'the tenth from the top counts');
  assert.deepEqual(first.asked, [keyAt]);

  const facts = await first.check(sign(foreign, 'a.test.evil.test', 'x'));
  assert.ok(!judgeDkim(facts, 'a.test').ok, 'the eleventh does not');
  assert.equal(facts.count, 11);
  assert.equal(facts.signatures.length, 10);
  assert.deepEqual(first.asked, [keyAt]);
});

test('a bad signature beside a good one does no harm, whichever comes first', async () => {
  const good = signMessage(plain, { ...here, key: rsa, names: ['from', 'to'] });
  const signatureOf = (message: Buffer) => message.subarray(0, message.length - plain.length);
  const bad = [
    latin1('DKIM-Signature: complete nonsense \xff\r\n'),
    latin1(`DKIM-Signature: ${'x'.repeat(50_000)}\r\n`),
    signatureOf(signMessage(plain, { ...here, key: otherRsa })),
    signatureOf(signMessage(plain, { ...here, key: rsa, selector: 'trouble' })),
    signatureOf(signMessage(plain, { ...here, key: rsa, bodyLength: 3 })),
    signatureOf(signMessage(plain, { ...here, key: rsa, names: ['from', 'arc-seal'] })),
  ];
  const { check } = setUp({ [keyAt]: rsa.record, 'trouble._domainkey.a.test': new DnsTrouble('SERVFAIL') });
  for (const message of [Buffer.concat([...bad, good]), Buffer.concat([signatureOf(good), ...bad, plain])]) {
    const facts = await check(message);
    assert.equal(facts.count, 7);
    assert.equal(facts.signatures.filter(({ status }) => status === 'valid').length, 1);
    assert.ok(judgeDkim(facts, 'a.test').ok);
  }
  const without = judgeDkim(await check(Buffer.concat([...bad, plain])), 'a.test');
  assert.ok(!without.ok && without.refusal.code === 'dkim_temporary');
});

test('a signature may cover the signatures below it', async () => {
  const inner = signMessage(plain, { key: otherRsa, domain: 'b.test', selector: 'x' });
  const outer = signMessage(inner, { ...here, key: rsa, names: ['from', 'dkim-signature', 'to'] });
  const { check, asked } = setUp();
  assert.deepEqual(
    (await check(outer)).signatures.map(({ status }) => status),
    ['valid', 'unchecked'],
  );
  const changed = latin1(outer.toString('latin1').replace('s=x;', 's=y;'));
  assert.equal((await check(changed)).signatures[0]?.reason, 'bad signature');
  assert.deepEqual(asked, [keyAt, keyAt], 'once more, as the kept key did not fit');

  const unreadable = signMessage(Buffer.concat([latin1('DKIM-Signature: no\r\n'), plain]), {
    ...here,
    key: rsa,
    names: ['from', 'dkim-signature'],
  });
  assert.equal((await check(unreadable)).signatures[0]?.reason, 'signs signatures that cannot be read');
});

test('a new key under an old name is found at once, and a kept one is asked for no more', async () => {
  const { check, asked, records, clock } = setUp();
  const byOld = signMessage(plain, { ...here, key: rsa });
  const byNew = signMessage(plain, { ...here, key: otherRsa });
  const status = async (message: Buffer) => (await check(message)).signatures[0]?.status;

  assert.equal(await status(byOld), 'valid');
  assert.equal(await status(byOld), 'valid');
  assert.equal(asked.length, 1);
  assert.equal(await status(byNew), 'invalid');
  assert.equal(asked.length, 2, 'a signature that fails on a kept key asks once more');
  records[keyAt] = otherRsa.record;
  assert.equal(await status(byNew), 'valid');
  assert.equal(asked.length, 3);
  records[keyAt] = ed25519.record;
  assert.equal(
    await status(signMessage(plain, { ...here, key: ed25519 })),
    'valid',
    'also where its type is another',
  );
  records[keyAt] = new DnsTrouble('SERVFAIL');
  assert.equal(await status(byNew), 'temporary', 'the kept key is of no use, and there is no other');
  clock.advance(KEEP_MS);
  records[keyAt] = rsa.record;
  assert.equal(await status(byOld), 'valid');
});

test('a changed body asks DNS for no other key', async () => {
  const { check, asked } = setUp();
  const message = signMessage(plain, { ...here, key: rsa });
  await check(message);
  await check(Buffer.concat([message, latin1('more')]));
  assert.equal(asked.length, 1);
});

test('messages without a usable From are not looked up at all', async () => {
  const { check, asked } = setUp();
  for (const from of ['', 'From: a@a.test, b@a.test\r\n', 'From: a@[192.0.2.1]\r\n', 'From: nobody\r\n']) {
    const message = signMessage(latin1(`${from}To: b@teal.test\r\n\r\nhi\r\n`), {
      ...here,
      key: rsa,
      names: ['from'],
    });
    const facts = await check(message);
    assert.equal(facts.signatures[0]?.status, 'unchecked', from);
  }
  for (const message of ['', '\r\n', 'x', '\r\n\r\nFrom: a@a.test\r\n\r\n', header])
    assert.equal((await check(latin1(message))).count, 0, message);
  assert.deepEqual(asked, []);
});

test('big messages are verified in a worker, with the same result', async () => {
  const clock = createTestClock();
  await using pool = createPool<typeof tasks>({
    module: new URL('./verify-worker.ts', import.meta.url),
    size: 1,
    maxQueued: 1,
    taskTimeoutMs: 10_000,
    clock,
  });
  const check = createDkimCheck({ pool, clock, resolver: { txt: async () => [[rsa.record]] } });
  const text = `${'A line of text that is as long as lines are.\r\n'.repeat(8000)}end`;
  const message = signMessage(latin1(`${header}\r\n${text}`), { ...here, key: rsa });
  assert.equal((await check(message)).signatures[0]?.status, 'valid');
  assert.equal(
    (await check(Buffer.concat([message, latin1('.')]))).signatures[0]?.reason,
    'body hash did not verify',
  );
  await pool[Symbol.asyncDispose]();
  await assert.rejects(check(message), TaskError);
});

test('what may take long goes to the pool, a chat message does not', async () => {
  const { check, sentToPool } = setUp();
  await check(signMessage(plain, { ...here, key: rsa }));
  assert.deepEqual(sentToPool, []);
  await check(signMessage(Buffer.concat([plain, Buffer.alloc(INLINE_BYTES, 'x')]), { ...here, key: rsa }));
  assert.equal(sentToPool.length, 1);
  const longHeader = latin1(`${header}X-Long: ${'x'.repeat(INLINE_BYTES)}\r\n\r\n${body}`);
  await check(signMessage(longHeader, { ...here, key: rsa }));
  assert.equal(sentToPool.length, 2);
  await check(signMessage(longHeader, { ...here, key: rsa, names: ['from'] }));
  assert.equal(sentToPool.length, 2, 'a long field that nobody signed costs nothing');
});
