import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DkimFacts, SignatureFact } from '../../src/authenticity/facts.ts';
import { judgeDkim } from '../../src/authenticity/judge.ts';
import { refusals } from '../../src/errors.ts';

type Short = readonly [domain: string, status: SignatureFact['status'], reason?: string];

function facts(...signatures: readonly Short[]): DkimFacts {
  return {
    count: signatures.length,
    signatures: signatures.map(([domain, status, reason = status]) => ({
      domain,
      selector: 's',
      status,
      reason,
    })),
  };
}

test('one valid signature of the very domain is enough, in any company', () => {
  const cases: [DkimFacts, string, 'ok' | 'dkim_missing' | 'dkim_invalid' | 'dkim_temporary'][] = [
    [facts(), 'a.test', 'dkim_missing'],
    [facts(['a.test', 'valid']), 'a.test', 'ok'],
    [facts(['a.test', 'valid']), 'A.Test', 'ok'],
    [
      facts(['a.test', 'invalid'], ['a.test', 'temporary'], ['b.test', 'unchecked'], ['a.test', 'valid']),
      'a.test',
      'ok',
    ],
    [facts(['a.test', 'valid']), 'mail.a.test', 'dkim_invalid'],
    [facts(['mail.a.test', 'valid']), 'a.test', 'dkim_invalid'],
    [facts(['b.test', 'valid']), 'a.test', 'dkim_invalid'],
    [facts(['a.test', 'invalid']), 'a.test', 'dkim_invalid'],
    [facts(['b.test', 'unchecked']), 'a.test', 'dkim_invalid'],
    [facts(['a.test', 'temporary']), 'a.test', 'dkim_temporary'],
    [facts(['a.test', 'invalid'], ['a.test', 'temporary']), 'a.test', 'dkim_temporary'],
    [facts(['b.test', 'temporary'], ['a.test', 'invalid']), 'a.test', 'dkim_invalid'],
  ];
  for (const [given, from, expected] of cases) {
    const verdict = judgeDkim(given, from);
    assert.equal(verdict.ok ? 'ok' : verdict.refusal.code, expected, JSON.stringify([given, from]));
  }
});

test('the refusal without a signature holds the texts of both upstream refusals', () => {
  const verdict = judgeDkim(facts(), 'a.test');
  assert.ok(!verdict.ok);
  assert.match(verdict.refusal.reply, /^554 5\.7\.1 .*No DKIM signature found/);
  assert.match(verdict.refusal.reply, /No valid DKIM signature found/);
  assert.match(refusals.dkim_temporary.smtp, /^451 4\.7\.5 /);
});

test('the log is told what was wrong with each signature, in bounds', () => {
  const verdict = judgeDkim(
    { ...facts(['b.test', 'unchecked', 'other'], ['', 'invalid', 'broken']), count: 12 },
    'a.test',
  );
  assert.ok(!verdict.ok);
  assert.equal(
    verdict.refusal.detail,
    '10 more not looked at; s._domainkey.b.test: other; s._domainkey.?: broken',
  );
  const long = judgeDkim(
    facts(...Array.from({ length: 10 }, (): Short => ['a'.repeat(250), 'invalid'])),
    'a.test',
  );
  assert.ok(!long.ok && long.refusal.detail.length <= 600);
});
