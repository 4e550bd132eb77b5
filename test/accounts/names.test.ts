import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { creationRefused, isReservedName, loginAddress } from '../../src/accounts/names.ts';
import { parseMailbox } from '../../src/message/address.ts';

const domain = '_teal.test';
const rules = { usernameMinLength: 9, usernameMaxLength: 9, passwordMinLength: 9 };

describe('login names', () => {
  test('a login is an address of the domain in upstream’s letters, lowered', () => {
    for (const [login, address] of [
      ['zn3zossaq@_teal.test', 'zn3zossaq@_teal.test'],
      ['ZN3zossaq@_TEAL.test', 'zn3zossaq@_teal.test'],
      ['.a-b_c.@_teal.test', '.a-b_c.@_teal.test'],
      [`${'x'.repeat(64)}@_teal.test`, `${'x'.repeat(64)}@_teal.test`],
    ] as const) {
      assert.equal(loginAddress(login, domain), address);
    }
    assert.equal(loginAddress('someone@[192.0.2.1]', '[192.0.2.1]'), 'someone@[192.0.2.1]');
  });

  test('anything else is no login name', () => {
    for (const login of [
      '',
      '@',
      'zn3zossaq',
      '@_teal.test',
      'zn3zossaq@',
      'zn3zossaq@teal.test',
      'zn3zossaq@x._teal.test',
      'zn3zossaq@_teal.test.',
      'zn3zossaq@_teal.test@_teal.test',
      'a@b@_teal.test',
      'zn3zossaq+tag@_teal.test',
      'zn3 ossaq@_teal.test',
      ' zn3zossaq@_teal.test',
      'zn3zossaq@_teal.test\n',
      'zn3zossaq\n@_teal.test',
      '../../etc@_teal.test',
      'zn3zossaq\0@_teal.test',
      'zn3z%ssaq@_teal.test',
      'zn3zössaq@_teal.test',
      // Kelvin sign and long s become ASCII letters in Unicode's lower and upper case
      '\u212an3zossaq@_teal.test',
      'zn3zo\u017fsaq@_teal.test',
      'zn3zossaq@_teal.te\u017ft',
      `${'x'.repeat(65)}@_teal.test`,
    ]) {
      assert.equal(loginAddress(login, domain), undefined, JSON.stringify(login));
    }
    assert.equal(loginAddress('someone@x.\u212a', 'x.k'), undefined);
  });

  test('whatever comes in, what comes out is an address of ours in the letters of names', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(domain, 'x', ''), (local, host) => {
        const address = loginAddress(`${local}@${host}`, domain);
        if (address !== undefined) assert.match(address, /^[a-z0-9._-]{1,64}@_teal\.test$/);
      }),
    );
  });
});

describe('new names', () => {
  const refused = (local: string, password = 'a password', changed = {}) =>
    creationRefused(`${local}@${domain}`, password, { ...rules, ...changed });

  test('are of the lengths of the settings, which count characters', () => {
    assert.equal(refused('zn3zossaq'), undefined);
    assert.match(refused('zn3zossa') ?? '', /too short/);
    assert.match(refused('zn3zossaqx') ?? '', /too long/);
    assert.equal(refused('zn3zossaqx', 'a password', { usernameMaxLength: 10 }), undefined);
    assert.match(refused('zn3zossaq', '12345678') ?? '', /password is too short/);
    assert.equal(refused('zn3zossaq', '123456789'), undefined);
    assert.match(refused('zn3zossaq', '🐱🐱🐱🐱🐱') ?? '', /password is too short/);
    assert.equal(refused('zn3zossaq', '🐱🐱🐱🐱🐱🐱🐱🐱🐱'), undefined);
  });

  test('that the world takes for the operator’s are given to nobody, with dots and dashes neither', () => {
    // With the default length these two stand between a stranger and a certificate for the domain.
    for (const local of ['webmaster', 'marketing']) assert.match(refused(local) ?? '', /reserved/);
    const any = { usernameMinLength: 1, usernameMaxLength: 64 };
    for (const local of [
      // RFC 2142
      ...['info', 'marketing', 'sales', 'support', 'abuse', 'noc', 'security'],
      ...['postmaster', 'hostmaster', 'usenet', 'news', 'webmaster', 'www', 'uucp', 'ftp'],
      // CA/Browser Forum Baseline Requirements 3.2.2.4.4
      ...['admin', 'administrator', 'webmaster', 'hostmaster', 'postmaster'],
      ...['mailer-daemon', 'mailerdaemon', 'root', 'noreply', 'no-reply', 'do-not-reply', 'tls-report'],
      ...['web.master', 'post-master', 'post_master', '.admin.', 'a.d.m.i.n', 'MAILER-DAEMON'.toLowerCase()],
    ]) {
      assert.match(refused(local, 'a password', any) ?? '', /reserved/, local);
    }
    for (const local of ['administra', 'webmaster1', 'xadmin', 'newsletter', 'zn3zossaq']) {
      assert.equal(refused(local, 'a password', any), undefined, local);
      assert(!isReservedName(local));
    }
  });

  test('can be written as an address without quotes', () => {
    for (const local of ['.n3zossaq', 'zn3zossa.', 'zn3..ssaq', '.........']) {
      assert.match(refused(local) ?? '', /dot/, local);
    }
    for (const local of ['z.3.o.s.q', '-n3zossa_', '_________']) {
      assert.equal(refused(local), undefined, local);
      assert.equal(parseMailbox(`${local}@${domain}`)?.local, local);
    }
  });

  test('reasons hold neither name nor password', () => {
    for (const reason of [
      refused('webmaster'),
      refused('short1'),
      refused('zn3zossaq', 'secret'),
      refused('a/b/c/d/e'),
    ]) {
      assert(reason !== undefined);
      assert.doesNotMatch(reason, /webmaster|short1|zn3zossaq|secret|a\/b/);
    }
  });
});
