import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawSignUpToken, hashOfSignUpToken } from '../../src/accounts/sign-up-token.ts';
import { systemRandom } from '../../src/machine.ts';

test('a sign-up token has more than 128 bits, in letters that no link escapes, and is another each time', () => {
  const drawn = Array.from({ length: 200 }, () => drawSignUpToken(systemRandom));
  for (const { token, id } of drawn) {
    assert.match(token, /^[A-Za-z0-9]{22}$/);
    assert.ok(token.length * Math.log2(62) > 128);
    assert.match(id, /^[a-z0-9]{6}$/);
    assert.ok(!token.includes(id));
  }
  assert.equal(new Set(drawn.map(({ token }) => token)).size, 200);
});

test('it is known by its SHA-256; what is none has no hash', () => {
  // printf %s AAAAAAAAAAAAAAAAAAAAAA | sha256sum
  assert.equal(
    hashOfSignUpToken('A'.repeat(22)),
    '8a5bdb4cc15164126c6ef2668de9dd240d299ce6397a42c95a9411b93d080ed8',
  );
  for (const none of [
    '',
    'x',
    'A'.repeat(21),
    'A'.repeat(23),
    `${'A'.repeat(21)}-`,
    `${'A'.repeat(22)}\n`,
    'ä'.repeat(22),
  ])
    assert.equal(hashOfSignUpToken(none), undefined, none);
});
