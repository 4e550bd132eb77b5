import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { startOpenDkim, verifyWithOpenDkim } from '../harness/opendkim.ts';
import { without } from '../harness/peers.ts';
import { verifyWithMailauth } from '../harness/mailauth.ts';
import { verifyWithPython } from '../harness/python-dkim.ts';
import { createTestSigner, deltaChatMail } from '../harness/signer.ts';
import type { TestSigner } from '../harness/signer.ts';
import { importKey } from '../../src/dkim/keys.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';

let signer: TestSigner;
let records: Record<string, string>;

before(async () => {
  signer = await createTestSigner();
  records = Object.fromEntries(signer.records.map(({ name, value }) => [name, value]));
});

const head =
  'From: Alice <alice@example.org>\r\nTo: bob@teal.test,\r\n\tcarol@teal.test\r\n' +
  'Subject:  two  spaces \t\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

const shapes: readonly (readonly [string, Buffer])[] = [
  ['no body', latin1(`${head}\r\n`)],
  ['empty lines', latin1(`${head}\r\n\r\n\r\n`)],
  ['empty lines behind', latin1(`${head}\r\na\r\n\r\n \t\r\n\r\n`)],
  ['tabs', latin1(`${head}\r\n\ta\t \tb\t\r\nc \r\n`)],
  ['8-bit', latin1(`${head}Cc: caf\xc3\xa9 <c@x.test>\r\n\r\n\xff\xfe \x80\r\n`)],
  ['folds', latin1(`${head}References: <1@x>\r\n\t<2@x>\r\n  \t <3@x>\r\n\r\na\r\n`)],
  ['an empty field', latin1(`${head}Cc:\r\nReply-To: \r\n\r\na\r\n`)],
  ['duplicates', latin1(`References: <1@x>\r\nReferences: <2@x>\r\nTo: c@x.test\r\n${head}\r\na\r\n`)],
];

async function signedMail(): Promise<{ name: string; message: Buffer }[]> {
  const all = [...shapes.map(([name, message]) => ({ name, message })), ...deltaChatMail()];
  return Promise.all(all.map(async ({ name, message }) => ({ name, message: await signer.sign(message) })));
}

/** Ways to add to a signed message what the signatures deny. */
function withFurtherFields(message: Buffer): Buffer[] {
  return ['From: eve@example.org', 'Subject: x', 'Autocrypt: addr=alice@example.org; keydata=BBBB'].map(
    (field) => latin1(message.toString('latin1').replace('\r\n\r\n', `\r\n${field}\r\n\r\n`)),
  );
}

const mailauth = (message: Buffer) => verifyWithMailauth(message, records);

describe('our signatures and mailauth', () => {
  test('it takes both of them', async () => {
    for (const { name, message } of await signedMail())
      assert.deepEqual(await mailauth(message), ['pass', 'pass'], name);
  });

  test('it takes neither once a field is added', async () => {
    for (const message of withFurtherFields(await signer.sign(latin1(`${head}\r\na\r\n`))))
      assert.deepEqual(await mailauth(message), ['fail', 'fail']);
  });

  test('whatever is signed, it verifies, there and at our own port 25', async () => {
    const word = fc.constantFrom(
      'a',
      'BB',
      ' ',
      '  ',
      '\t',
      '\xe9',
      '\xff',
      ':',
      '=',
      '.',
      ';',
      'x'.repeat(100),
    );
    const text = fc.array(word, { maxLength: 8 }).map((words) => words.join(''));
    const name = fc.constantFrom(
      'To',
      'CC',
      'subject',
      'Date',
      'X-Any',
      'References',
      'Autocrypt',
      'Content-Type',
      'List-Id',
      'Resent-From',
    );
    const field = fc
      .tuple(name, fc.constantFrom(':', ': ', ':\t'), fc.array(text, { minLength: 1, maxLength: 3 }))
      .map(([key, colon, parts]) => `${key}${colon}${parts.map((part) => `${part}f`).join('\r\n ')}\r\n`);
    const lines = fc.array(text, { maxLength: 8 }).map((all) => all.join('\r\n'));
    await fc.assert(
      fc.asyncProperty(fc.array(field, { maxLength: 8 }), lines, fc.nat(8), async (fields, body, place) => {
        const all = fields.toSpliced(place, 0, 'From: alice@example.org\r\n');
        const signed = await signer.sign(latin1(`${all.join('')}\r\n${body}`));
        assert.deepEqual(await mailauth(signed), ['pass', 'pass']);
        const facts = await signer.check(signed);
        assert.deepEqual(
          facts.signatures.map(({ reason }) => reason),
          ['valid', 'valid'],
        );
      }),
      { numRuns: 150 },
    );
  });

  test('it takes 30 MB', async () => {
    const message = latin1(`${head}\r\n${`${'A'.repeat(76)}\r\n`.repeat(400_000)}`);
    assert.deepEqual(await mailauth(await signer.sign(message)), ['pass', 'pass']);
  });
});

describe('our signatures and python3-dkim', { skip: without('python3-dkim') }, () => {
  test('it takes both of them, and neither once a field is added', async () => {
    const mail = await signedMail();
    const broken = withFurtherFields(await signer.sign(latin1(`${head}\r\na\r\n`)));
    const all = [...mail.map(({ message }) => message), ...broken];
    const verdicts = await verifyWithPython(all, records, 2);
    mail.forEach(({ name }, index) => assert.deepEqual(verdicts[index], [true, true], name));
    for (const verdict of verdicts.slice(mail.length)) assert.deepEqual(verdict, [false, false]);
  });
});

describe('our signatures and OpenDKIM', { skip: without('opendkim') }, () => {
  test('it takes both of them, and neither once a field is added', async () => {
    const mail = await signedMail();
    const verdicts = await verifyWithOpenDkim(
      mail.map(({ message }) => message),
      records,
    );
    mail.forEach(({ name }, index) => assert.deepEqual(verdicts[index], ['pass', 'pass'], name));
    const broken = withFurtherFields(await signer.sign(latin1(`${head}\r\na\r\n`)));
    for (const verdict of await verifyWithOpenDkim(broken, records))
      assert.deepEqual(verdict, ['fail', 'fail']);
  });

  test('a relay that moves here signs what its OpenDKIM has signed, with the same record', async () => {
    const key = makeDkimKey();
    const values = createMemoryValues();
    assert.equal((await importKey(values, 'opendkim', key.pem, false)).kind, 'imported');
    const moved = await createTestSigner({ values });
    const message = latin1(`${head}\r\na\r\n`);
    await using old = await startOpenDkim({ domain: 'example.org', selector: 'opendkim', key: key.pem });
    const [theirs, ours] = await verifyWithOpenDkim(
      [await old.sign(message), await moved.sign(message)],
      Object.fromEntries(moved.records.map(({ name, value }) => [name, value])),
    );
    assert.deepEqual(theirs, ['pass']);
    assert.deepEqual(ours, ['pass', 'pass']);
  });
});
