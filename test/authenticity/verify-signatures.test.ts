import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifySignatures } from '../../src/authenticity/verify-signatures.ts';
import { makeDkimKey, signMessage } from '../harness/signed-mail.ts';
import type { DkimKey } from '../harness/signed-mail.ts';

const rsa = makeDkimKey();
const ed25519 = makeDkimKey('ed25519');
const here = { domain: 'a.test', selector: 's' };

/** Verifies a message signed by `key` against `record`; what is expected of the field may differ from what is there. */
function verify(
  key: DkimKey,
  record: string,
  expected: readonly { domain: string; selector: string }[] = [here],
) {
  const message = signMessage(Buffer.from('From: a@a.test\r\n\r\nhi\r\n'), { ...here, key });
  const end = message.indexOf('\r\n\r\n');
  return verifySignatures({
    header: message.subarray(0, end + 2),
    body: message.subarray(end + 4),
    signatures: expected,
    keys: new Map([['s._domainkey.a.test', record]]),
    now: Date.UTC(2026, 0, 2),
  });
}

test('a field that the verifier reads differently from us is never valid', async () => {
  assert.deepEqual(await verify(rsa, rsa.record), [{ valid: true }]);
  const cases = [[{ ...here, domain: 'b.test' }], [{ ...here, selector: 't' }], [here, here], []];
  for (const expected of cases)
    assert.deepEqual(
      await verify(rsa, rsa.record, expected),
      expected.map(() => ({
        valid: false,
        reason: 'read differently by the verifier',
        blame: 'message',
      })),
    );
});

test('what the verifier only warns of is a failure', async () => {
  const cases: [DkimKey, string, RegExp][] = [
    [ed25519, `p=${ed25519.p}`, /^verifier warns: key-type-inferred$/],
    [rsa, `${rsa.record};;`, /^verifier warns: key-syntax$/],
    [rsa, `k=rsa; v=DKIM1; p=${rsa.p}`, /^verifier warns: key-v-syntax$/],
  ];
  for (const [key, record, reason] of cases) {
    const [result] = await verify(key, record);
    assert.ok(result?.valid === false, record);
    assert.match(result.reason, reason);
  }
});

test('a key that was not handed over is not looked up', async () => {
  const elsewhere = await verifySignatures({
    header: signMessage(Buffer.from('From: a@a.test\r\n\r\n'), { ...here, key: rsa }).subarray(0, -2),
    body: Buffer.alloc(0),
    signatures: [here],
    keys: new Map(),
    now: Date.UTC(2026, 0, 2),
  });
  assert.deepEqual(elsewhere, [{ valid: false, reason: 'no key', blame: 'key' }]);
});
