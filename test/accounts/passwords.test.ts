import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encrypt } from 'unixcrypt';
import {
  MAX_ROUNDS,
  checkPassword,
  checkingCost,
  hashPassword,
  wantedRounds,
} from '../../src/accounts/passwords.ts';
import { parseSha512Crypt, sha512Crypt } from '../../src/accounts/sha512-crypt.ts';

const long = 'k3J9dPq2LmZx8vTbR4nW0y';

describe('password hashes', () => {
  test('rounds go by the length of the secret', () => {
    assert.deepEqual(
      ['123456789', '12345678901', '123456789012', 'x'.repeat(21), long, 'x'.repeat(50), 'ä'.repeat(22)].map(
        wantedRounds,
      ),
      [600_000, 600_000, 100_000, 100_000, 10_000, 10_000, 10_000],
    );
  });

  test('are PHC strings in the form of @phc/pbkdf2, WildDuck’s library', async () => {
    const salts: Buffer[] = [];
    const random = (bytes: number) => {
      const salt = Buffer.alloc(bytes, 0xfb + salts.length);
      salts.push(salt);
      return salt;
    };
    const hash = await hashPassword(long, random);
    const expected = pbkdf2Sync(long, Buffer.alloc(16, 0xfb), 10_000, 32, 'sha256');
    // 16 and 32 bytes in base64 of the usual alphabet, its padding off; decimal rounds without leading zeros.
    assert.equal(
      hash,
      `$pbkdf2-sha256$i=10000$+/v7+/v7+/v7+/v7+/v7+w$${expected.toString('base64').slice(0, 43)}`,
    );
    assert.equal(salts.length, 1);
    assert.equal(await checkPassword(long, hash), 'right');
    // What the library's parser (@phc/format 1.0) takes, field by field.
    const [empty, id = '', parameters = '', salt = '', digest = '', ...more] = hash.split('$');
    assert.deepEqual([empty, more], ['', []]);
    assert.match(id, /^[a-z0-9-]{1,32}$/);
    assert.match(parameters, /^i=([1-9]\d*|0)$/);
    for (const field of [salt, digest]) assert.match(field, /^[a-zA-Z0-9/+.-]+$/);
    assert.equal(Buffer.from(digest, 'base64').length, 32);
  });

  test('that @phc/pbkdf2 1.1.14 wrote are verified', async () => {
    for (const [password, hash] of [
      [
        'correct horse',
        '$pbkdf2-sha256$i=100000$DKSUTnaykWq78sUIoGOruQ$XLVNkg/QkNu3ntNoDZ2qf1mHoOvh05D1aBuDpdf38Rw',
      ],
      [
        'zn3zossaqzn3zossaqzn3z',
        '$pbkdf2-sha256$i=10000$nqKO+Oi5KqwQssFkOqm74Q$jQdwO9ugZ0Fadr4huV9LZqekiCXdTjHmv6EA5LdTII4',
      ],
      [
        'abcdefghi',
        '$pbkdf2-sha256$i=600000$/SGg1Gpp01pl/I4cft1y8rcK$iouf5D4cXGHZJwl8cb40rDJyQyf9WHEsvQG1vtvbD1E',
      ],
    ] as const) {
      assert.equal(await checkPassword(password, hash), 'right');
      assert.equal(await checkPassword(`${password} `, hash), 'wrong');
    }
    const weak = '$pbkdf2-sha256$i=1000$X9UDUTjqoas$PSWc6UlE1/uvs9UXEzM+3Rh32n+eqpxi/vwOHbFLwoI';
    assert.equal(await checkPassword('pässwörd', weak), 'right-but-weak');
    assert.equal(await checkPassword('passwörd', weak), 'wrong');
  });

  test('more rounds than wanted are no reason to renew, fewer are', async () => {
    const withRounds = (rounds: number) => {
      const salt = randomBytes(16);
      const hash = pbkdf2Sync(long, salt, rounds, 32, 'sha256').toString('base64').slice(0, 43);
      return `$pbkdf2-sha256$i=${rounds}$${salt.toString('base64').slice(0, 22)}$${hash}`;
    };
    assert.equal(await checkPassword(long, withRounds(10_000)), 'right');
    assert.equal(await checkPassword(long, withRounds(10_001)), 'right');
    assert.equal(await checkPassword(long, withRounds(9_999)), 'right-but-weak');
    assert.equal(await checkPassword(long, withRounds(1)), 'right-but-weak');
  });

  test('that cannot be read, or ask for absurd work, fit no password and cost nothing', async () => {
    const tail = '$DKSUTnaykWq78sUIoGOruQ$XLVNkg/QkNu3ntNoDZ2qf1mHoOvh05D1aBuDpdf38Rw';
    const crypt = encrypt('secret', '$6$saltsalt');
    for (const stored of [
      '',
      '*',
      '!',
      'plain text',
      `$pbkdf2-sha256$i=${MAX_ROUNDS + 1}${tail}`,
      `$pbkdf2-sha256$i=4294967295${tail}`,
      `$pbkdf2-sha256$i=0${tail}`,
      `$pbkdf2-sha256$i=-1${tail}`,
      `$pbkdf2-sha256$i=1e3${tail}`,
      `$pbkdf2-sha256$i=10000,l=32${tail}`,
      `$pbkdf2-sha256$10000${tail}`,
      `$pbkdf2-sha256$i=10000${tail}=`,
      `$pbkdf2-sha256$i=10000${tail}\n`,
      `$pbkdf2-sha256$i=10000$DKSUTnaykWq78sUIoGOruQ$`,
      `$pbkdf2-sha256$i=10000$$XLVNkg/QkNu3ntNoDZ2qf1mHoOvh05D1aBuDpdf38Rw`,
      `$pbkdf2-md5$i=10000${tail}`,
      `{PLAIN}secret`,
      `{CRYPT}${crypt}`,
      crypt.replace('$6$', '$6$rounds=999999999$'),
      crypt.replace('$6$', '$6$rounds=100001$'),
      crypt.replace('$6$', '$6$rounds=999$'),
      crypt.slice(0, -1),
      `${crypt}x`,
      '$6$saltsalt$',
      '$6$',
    ]) {
      assert.equal(await checkPassword('secret', stored), 'unreadable', stored);
      assert.equal(checkingCost(stored), 0, stored);
    }
  });

  test('of upstream’s accounts are verified and always renewed', async () => {
    const crypt = encrypt('a password', '$6$saltsalt');
    for (const stored of [crypt, `{SHA512-CRYPT}${crypt}`, `{sha512-crypt}${crypt}`]) {
      assert.equal(await checkPassword('a password', stored), 'right-but-weak');
      assert.equal(await checkPassword('A password', stored), 'wrong');
      assert.equal(checkingCost(stored), 100_000);
    }
    assert.equal(
      checkingCost(
        '$pbkdf2-sha256$i=600000$/SGg1Gpp01pl/I4cft1y8rcK$iouf5D4cXGHZJwl8cb40rDJyQyf9WHEsvQG1vtvbD1E',
      ),
      600_000,
    );
  });
});

describe('SHA-512-crypt', () => {
  test('gives what the specification’s test vectors give', async () => {
    for (const [password, stored] of [
      [
        'Hello world!',
        '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
      ],
      [
        'Hello world!',
        '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
      ],
      [
        'This is just a test',
        '$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0',
      ],
    ] as const) {
      const parts = parseSha512Crypt(stored);
      assert(parts !== undefined, stored);
      assert.equal(await sha512Crypt(Buffer.from(password), parts.salt, parts.rounds), parts.hash);
    }
  });

  test('agrees with npm unixcrypt for any password and salt (but where it errs: 64, 128 … bytes)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .string({ unit: 'grapheme', minLength: 1, maxLength: 70 })
          .filter((text) => Buffer.byteLength(text) % 64 !== 0),
        fc.string({ unit: fc.constantFrom(...'./09AZaz'), minLength: 1, maxLength: 16 }),
        async (password, salt) => {
          const stored = encrypt(password, `$6$rounds=1000$${salt}`);
          assert.equal(await sha512Crypt(Buffer.from(password), salt, 1000), parseSha512Crypt(stored)?.hash);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('gives what OpenSSL gives for passwords around the length of its block', async () => {
    for (const [length, hash] of [
      [1, 'BXyrstkgSyErowvJGOokNhh9f/aSAl7AWKdxdHfngLkMMVQ2ynbYGLpvtENMNa4bjrDa4JmRjGRd/0nlL9Tj31'],
      [63, 'NB26yABlKnk11nIKmrgOarpL8XkJugbEaD0y96Gjso3r8qPhRuVfti2Gg4ONQLAHuTPgT1ifu8X24P9s7a2ku0'],
      [64, 'W.HgHrlLIRcOsy53i3HymuJIS0aHgsDSv5JCgdNcKIL7jpA0ucGuTZDpkMTofYq4H.2Sqcn0szStsIzmENkZS0'],
      [65, 'mEB7y429QALFm6HLZXTkeqy60atxpZtxuEPPqU8hCYHMFQS5i9e3BLmYdwyCja4FilrDFtRfwYOBB3Nh68d3X.'],
      [128, 'rkvxHBhciO6zzDB0zf8lNJuCysuKOilPCansBDeFerYXTn7KV7TV.aDGtaai2GUHa5HXqFsjSzwfsMHYtyiNM0'],
      [200, 'fpqTAQlQt.m1itJQzvLlqP0xq5VkFkjmyx.caF3eCL328hXoVLAv0v8CZcj4ihvBIzqD22haMgiDLXaJyBoSl/'],
    ] as const) {
      assert.equal(
        await checkPassword('p'.repeat(length), `$6$salt${'$'}${hash}`),
        'right-but-weak',
        String(length),
      );
    }
  });

  test('lets the main loop breathe', async () => {
    let turns = 0;
    let done = false;
    const work = sha512Crypt(Buffer.alloc(512, 'x'), 'salt', 5000).then(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    await work;
    assert(turns >= 10, `${turns} turns`);
  });
});
