import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDkimCheck, verifyTasks } from '../../src/authenticity/check.ts';
import { MAX_BODY_HASHES, MAX_EXCERPT_BYTES, MAX_EXCERPT_LINES } from '../../src/authenticity/excerpt.ts';
import { judgeDkim } from '../../src/authenticity/judge.ts';
import { createTestClock } from '../harness/clock.ts';
import { canonicalize, makeDkimKey, signMessage } from '../harness/signed-mail.ts';

const key = makeDkimKey();
const here = { domain: 'a.test', selector: 's', key };
const from = 'From: alice@a.test\r\n';

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A check whose resolver has the key under every name; `asked` are the names. */
function setUp(record = [[key.record]]) {
  const asked: string[] = [];
  const resolver = { txt: async (name: string) => (asked.push(name), record) };
  const pool = {
    run: (_: string, input: Parameters<typeof verifyTasks.verifySignatures>[0]) =>
      verifyTasks.verifySignatures(input),
  };
  return { asked, check: createDkimCheck({ resolver, pool, clock: createTestClock() }) };
}

/** The one reason that all signatures have. */
async function reasonOf(message: Buffer): Promise<string | undefined> {
  const { signatures } = await setUp().check(message);
  assert.equal(new Set(signatures.map(({ reason }) => reason)).size, 1, JSON.stringify(signatures));
  return signatures[0]?.reason;
}

// Each of these takes minutes, or all memory, where its bound is missing; the limit is far above what a loaded machine
// needs with it.
const soon = { timeout: 20_000 };

test('one line of 30 MB is verified in linear time', soon, async () => {
  const message = signMessage(latin1(`${from}\r\n${'x'.repeat(30e6)}`), here);
  assert.equal(await reasonOf(message), 'valid');
});

test('30 MB of lone line feeds are given up at once', soon, async () => {
  const message = Buffer.concat([signMessage(latin1(`${from}\r\nhi\r\n`), here), Buffer.alloc(30e6, '\n')]);
  assert.equal(await reasonOf(message), 'bare line feed in the body');
});

test('a thousand signatures cost ten look-ups at most', soon, async () => {
  const message = latin1(`${from}\r\nhi\r\n`);
  const field = signMessage(message, here).toString('latin1').split('\r\nFrom')[0] ?? '';
  const many = Array.from({ length: 1000 }, (_, index) => `${field.replace('s=s;', `s=s${index};`)}\r\n`);
  const { check, asked } = setUp();
  const facts = await check(Buffer.concat([latin1(many.slice(0, 900).join('')), message]));
  assert.equal(facts.count, 900);
  assert.equal(new Set(asked).size, 10);
  assert.ok(!judgeDkim(facts, 'a.test').ok);
});

test(
  'folded and huge fields that are signed are given up, those that are not are passed over',
  soon,
  async () => {
    const folded = latin1(`${from}X-A: a${'\r\n a'.repeat(MAX_EXCERPT_LINES + 1)}\r\n\r\nhi\r\n`);
    const huge = latin1(`${from}X-A: ${'a b\t'.repeat(MAX_EXCERPT_BYTES / 4)}\r\n\r\nhi\r\n`);
    for (const message of [folded, huge]) {
      assert.match((await reasonOf(signMessage(message, here))) ?? '', /signs too m/);
      assert.equal(await reasonOf(signMessage(message, { ...here, names: ['from'] })), 'valid');
    }
    const most = latin1(`${from}X-A: a${'\r\n a'.repeat(MAX_EXCERPT_LINES - 20)}\r\n\r\nhi\r\n`);
    assert.equal(await reasonOf(signMessage(most, here)), 'valid');
  },
);

test('ten lengths of the body are not hashed ten times', soon, async () => {
  const message = latin1(`${from}\r\nsome text\r\n`);
  const length = canonicalize(latin1('some text\r\n'), 'relaxed').length;
  const all = Array.from({ length: 9 }, (_, index) => {
    const signed = signMessage(message, { ...here, bodyLength: index });
    return signed.subarray(0, signed.length - message.length);
  });
  const { signatures } = await setUp().check(
    Buffer.concat([...all, signMessage(message, { ...here, bodyLength: length })]),
  );
  const hashed = signatures.filter(({ reason }) => reason !== 'too many body lengths');
  assert.equal(hashed.length, MAX_BODY_HASHES);
  assert.equal(signatures.filter(({ status }) => status === 'valid').length, 0);
});

test('odd values of the fields that mailauth reads on its way do not disturb it', soon, async () => {
  const odd = [
    `Content-Type: multipart/mixed${";a*0*=x'y'z".repeat(3000)}`,
    `Content-Type: multipart/mixed; __proto__=x; boundary*=nothing''%ff%%; boundary="`,
    'Content-Type:',
    `Content-Type: ${'"\\'.repeat(10_000)}`,
    'Return-Path: <<<((("',
    `Return-Path: ${'('.repeat(50_000)}`,
    'ARC-Seal: i=1; cv=none; a=rsa-sha256; d=a.test; s=s; b=AAAA',
    'ARC-Message-Signature: i=1; a=rsa-sha256; d=a.test; s=arc; h=from; bh=AAAA; b=AAAA',
    'ARC-Authentication-Results: i=1; none',
    '\x7f!#$: odd name',
  ];
  for (const field of odd) {
    const message = latin1(`${field}\r\n${from}\r\nhi\r\n`);
    const names = ['from', 'content-type', 'return-path'];
    assert.match(
      (await reasonOf(signMessage(message, { ...here, names }))) ?? '',
      /^(valid|malformed header)$/,
      field,
    );
  }
});

test('ARC fields are never evaluated, so that they ask nothing of DNS', async () => {
  const arc = [
    'ARC-Authentication-Results: i=1; none',
    'ARC-Seal: i=1; cv=none; a=rsa-sha256; d=arc.test; s=x; b=AA',
  ]
    .concat('ARC-Message-Signature: i=1; a=rsa-sha256; d=arc.test; s=y; h=from; bh=AA; b=AA')
    .join('\r\n');
  const message = signMessage(latin1(`${arc}\r\n${from}\r\nhi\r\n`), { ...here, names: ['from'] });
  const { check, asked } = setUp();
  assert.equal((await check(message)).signatures[0]?.status, 'valid');
  assert.deepEqual(asked, ['s._domainkey.a.test']);
});

test('giant and broken key records are refused', soon, async () => {
  const message = signMessage(latin1(`${from}\r\nhi\r\n`), here);
  const records: [string[][], string][] = [
    [[Array.from({ length: 250 }, () => 'A'.repeat(255))], 'key record too long'],
    [[[`p=${'A'.repeat(4000)}`]], 'unknown key type'],
    [[[`p=${';'.repeat(4000)}`]], 'key record: tag list cannot be read'],
    [Array.from({ length: 1000 }, () => ['v=spf1 -all']), 'no key record'],
    [[['\0', '\xff', 'p=\0']], 'no key record'],
    [[[]], 'no key record'],
  ];
  for (const [record, reason] of records)
    assert.equal((await setUp(record).check(message)).signatures[0]?.reason, reason);
});

test('whatever is done to a signed message: no throw, no other names asked, and valid only while nothing changed', async () => {
  const message = signMessage(
    latin1(
      `${from}To: b@teal.test\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: x\r\n\r\nHello\r\nworld\r\n`,
    ),
    { ...here, canonicalization: ['simple', 'simple'], tags: { t: '1', i: '@a.test' } },
  );
  const pieces = fc.constantFrom(
    '\r\n',
    '\n',
    '\r',
    ' ',
    ';',
    '=',
    ':',
    '\0',
    '\xff',
    'b=',
    'd=b.test;',
    'From: x@y\r\n',
    '"',
    '(',
  );
  const edit = fc.record({
    at: fc.nat(message.length),
    cut: fc.nat(3),
    insert: fc.oneof(pieces, fc.string({ maxLength: 3, unit: 'binary' })),
  });
  const { check, asked } = setUp();
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      let changed = message;
      for (const { at, cut, insert } of edits)
        changed = Buffer.concat([changed.subarray(0, at), latin1(insert), changed.subarray(at + cut)]);
      const facts = await check(changed);
      const valid = facts.signatures.some(({ status }) => status === 'valid');
      // Nobody signs empty lines at the end of the body, nor b=, whose last character has bits to spare.
      const same = (bytes: Buffer) => bytes.toString('latin1').replace(/[ \t\r\n]|;\s*b=[^:]*(?=From:)/g, '');
      if (valid) assert.equal(same(changed), same(message));
    }),
    // A fixed seed: by great luck three edits make a whole new field, which nobody has signed and which may be added.
    { numRuns: 400, seed: 20_260_102 },
  );
  for (const name of asked) assert.match(name, /^[a-z0-9_.-]+\._domainkey\.[a-z0-9_.-]+$/);
});
