import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeDkim } from '../../src/authenticity/judge.ts';
import { importKey } from '../../src/dkim/keys.ts';
import { INLINE_BYTES, KEYS_TIME, createSigner, signTasks } from '../../src/dkim/signer.ts';
import { MAX_SIGNATURE } from '../../src/store/contract.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';
import { SELECTORS, createTestSigner, deltaChatMail } from '../harness/signer.ts';
import type { TestSigner } from '../harness/signer.ts';

const head = [
  'From: Alice <alice@example.org>',
  'To: bob@teal.test',
  'Subject: [...]',
  'Date: Sat, 21 Nov 2026 10:00:00 +0000',
  'Autocrypt: addr=alice@example.org; keydata=AAAA',
  'Content-Type: text/plain',
  '',
].join('\r\n');
const plain = latin1(`${head}\r\nhello\r\n`);

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

async function statuses(test: TestSigner, message: Buffer): Promise<string[]> {
  return (await test.check(message)).signatures.map(({ status }) => status);
}

const BOTH = ['valid', 'valid'];

test('two fields, RSA first, folded, without l=, x= and t=', async () => {
  const test = await createTestSigner();
  const fields = await test.signer.sign(plain);
  assert.match(fields, /^DKIM-Signature: v=1; a=rsa-sha256; [^]*\r\nDKIM-Signature: v=1; a=ed25519-sha256; /);
  assert.ok(fields.endsWith('\r\n') && !fields.includes('\r\n\r\n'));
  assert.doesNotMatch(fields, /[; \t][lxt]=/);
  for (const line of fields.split('\r\n')) assert.ok(line.replace('\t', '        ').length <= 78, line);
  const hashes = [...fields.matchAll(/bh=([^;]*);/g)].map(([, hash]) => hash);
  assert.ok(hashes.length === 2 && hashes[0] === hashes[1]);
  assert.deepEqual(await statuses(test, await test.sign(plain)), BOTH);
});

test('upstream’s list is signed, and once more than it is there', async () => {
  const { signer } = await createTestSigner();
  const names = /\sh=([^;]*);/
    .exec(await signer.sign(plain))?.[1]
    ?.replace(/\s/g, '')
    .split(':');
  const twice = ['from', 'to', 'subject', 'date', 'autocrypt'];
  const once =
    'reply-to cc resent-date resent-from resent-sender resent-to resent-cc in-reply-to references list-id ' +
    'list-help list-unsubscribe list-subscribe list-post list-owner list-archive content-type';
  assert.deepEqual(names?.toSorted(), [...twice, ...twice, ...once.split(' ')].sort());
});

test('whatever is done to the message breaks both', async () => {
  const test = await createTestSigner();
  const signed = (await test.sign(plain)).toString('latin1');
  const changes: [string, string][] = [
    ['a byte of the body', signed.replace('hello', 'Hello')],
    ['text behind', `${signed}more\r\n`],
    ['the author', signed.replace('From: Alice <alice@', 'From: Alice <mallory@')],
    ['a field gone', signed.replace(/\r\nDate:[^\r]*/, '')],
    ['another type', signed.replace('text/plain', 'text/html')],
    ['another domain', signed.replaceAll('d=example.org', 'd=example.com')],
    ['another selector', signed.replace('s=opendkim', 's=x').replace('s=ed25519', 's=x')],
  ];
  for (const name of [
    'From',
    'Subject',
    'Autocrypt',
    'Reply-To',
    'Cc',
    'References',
    'List-Post',
    'Resent-Sender',
  ])
    for (const [where, place] of [
      ['above', (line: string) => `${line}${signed}`],
      ['below', (line: string) => signed.replace('\r\n\r\n', `\r\n${line}\r\n`)],
    ] as const)
      changes.push([`a further ${name} ${where}`, place(`${name}: eve@example.org\r\n`)]);
  for (const [why, message] of changes) {
    assert.notEqual(message, signed, why);
    assert.equal((await statuses(test, latin1(message))).includes('valid'), false, why);
  }
  assert.deepEqual(await statuses(test, latin1(`X-Hop: 1\r\nReceived: by mx\r\n${signed}`)), BOTH);
});

test('shapes of message', async () => {
  const test = await createTestSigner();
  const shapes: [string, string][] = [
    ['no body', `${head}\r\n`],
    ['only empty lines', `${head}\r\n\r\n\r\n`],
    ['empty lines behind', `${head}\r\na\r\n\r\n \t\r\n\r\n`],
    ['no line end', `${head}\r\na `],
    ['tabs', `${head}\r\n\ta\t \tb\t\r\n`],
    ['8-bit', `Subject: caf\xe9\r\n${head.replace(/Subject.*\r\n/, '')}\r\n\xff\xfe \x80\r\n`],
    ['folds', `References: <1@x>\r\n\t<2@x>\r\n  \t <3@x>\r\n${head}\r\na\r\n`],
    ['an empty field', `Cc:\r\nReply-To: \t \r\n${head}\r\na\r\n`],
    ['duplicates', `References: <1@x>\r\nReferences: <2@x>\r\nTo: c@x\r\n${head}\r\na\r\n`],
    ['many duplicates', `${'References: <1@x>\r\n'.repeat(100)}${head}\r\na\r\n`],
    ['names in capitals', `${head.toUpperCase().replaceAll('EXAMPLE.ORG', 'example.org')}\r\na\r\n`],
    ['a dot', `${head}\r\n.\r\n..\r\n`],
  ];
  for (const [why, text] of shapes) {
    const signed = await test.sign(latin1(text));
    const facts = await test.check(signed);
    assert.deepEqual(
      facts.signatures.map(({ reason }) => reason),
      BOTH,
      why,
    );
    assert.ok(judgeDkim(facts, 'example.org').ok);
  }
});

test('mail of real clients', async () => {
  const test = await createTestSigner();
  const all = deltaChatMail();
  assert.ok(all.length > 20);
  for (const { name, message } of all)
    assert.deepEqual(await statuses(test, await test.sign(message)), BOTH, name);
});

test('however many fields there are, the signatures keep below their bound', async () => {
  const long = `${'a'.repeat(59)}.`.repeat(4);
  const test = await createTestSigner({
    domain: `${long}org`,
    selectors: { rsa: 'a'.repeat(63), ed25519: 'b'.repeat(63) },
    values: await valuesWithLongKey('a'.repeat(63)),
  });
  const names =
    'From To Cc Resent-Date Resent-From Resent-Sender Resent-To Resent-Cc In-Reply-To References List-Unsubscribe ' +
    'List-Subscribe List-Archive List-Owner List-Post List-Id List-Help Autocrypt Date Subject Reply-To Content-Type';
  const all = names.split(' ').map((name) => `${name}: x\r\n`.repeat(45));
  const fields = await test.signer.sign(latin1(`${all.join('')}\r\nhi\r\n`));
  assert.ok(fields.length > 5000 && fields.length <= MAX_SIGNATURE, String(fields.length));
});

async function valuesWithLongKey(selector: string) {
  const values = createMemoryValues();
  await importKey(values, selector, makeDkimKey('rsa', 4096).pem, false);
  return values;
}

test('a big body is hashed by a worker, once', async () => {
  const test = await createTestSigner();
  const body = (size: number) => latin1(`${head}\r\n${'a'.repeat(size)}`);
  assert.deepEqual(await statuses(test, await test.sign(body(INLINE_BYTES))), BOTH);
  assert.deepEqual(test.sentToPool, []);
  assert.deepEqual(await statuses(test, await test.sign(body(30e6))), BOTH);
  assert.deepEqual(test.sentToPool, [30e6]);
});

test('an address literal signs nothing and has no keys; a name with an underscore signs', async () => {
  const literal = await createTestSigner({ domain: '[192.0.2.7]' });
  assert.equal(await literal.signer.keys(), '');
  assert.equal(await literal.signer.sign(plain), '');
  assert.equal(literal.values.all.size, 0);

  const underscore = await createTestSigner({ domain: '_relay.test' });
  const message = latin1(plain.toString('latin1').replace('alice@example.org', 'alice@_relay.test'));
  assert.deepEqual(await statuses(underscore, await underscore.sign(message)), BOTH);
});

test('a key that is imported meanwhile signs within a minute, and the key set has another name', async () => {
  const test = await createTestSigner();
  const before = await test.signer.keys();
  assert.match(before, /^opendkim=\S{16} ed25519=\S{16}$/);
  await importKey(test.values, SELECTORS.rsa, makeDkimKey().pem, true);
  assert.equal(await test.signer.keys(), before);
  test.clock.advance(KEYS_TIME);
  const after = await test.signer.keys();
  assert.notEqual(after, before);
  assert.equal(after.split(' ')[1], before.split(' ')[1]);
  assert.deepEqual(
    await statuses(test, await test.sign(plain)),
    ['invalid', 'valid'],
    'DNS has the old RSA key',
  );
});

test('the store is asked once a minute, and again at once when it could not answer', async () => {
  const values = createMemoryValues();
  let asked = 0;
  let broken = true;
  const counting = {
    ...values,
    get: (key: string) => {
      asked += 1;
      return broken ? Promise.reject(new Error('store is away')) : values.get(key);
    },
  };
  const test = await createTestSigner();
  const signer = createSigner({
    values: counting,
    clock: test.clock,
    pool: { run: async (_, input) => signTasks.relaxedBodyHash(input) },
    domain: 'example.org',
    selectors: SELECTORS,
  });
  await assert.rejects(signer.sign(plain), /store is away/);
  broken = false;
  asked = 0;
  await Promise.all([signer.sign(plain), signer.keys(), signer.sign(plain)]);
  await signer.sign(plain);
  assert.equal(asked, 2, 'one question for each key');
});
