import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOfFrom, parseMailbox, withoutTag } from '../../src/message/address.ts';
import { parseHeader } from '../../src/message/header.ts';

const from = (value: string) => addressOfFrom(parseHeader(Buffer.from(`From: ${value}\r\n\r\n`, 'latin1')));

test('the one address of From is found in every form that has one meaning', () => {
  for (const [value, address] of [
    ['alice@chat.test', 'alice@chat.test'],
    ['<alice@chat.test>', 'alice@chat.test'],
    ['<Alice@CHAT.Test>', 'alice@chat.test'],
    ['Alice <alice@chat.test>', 'alice@chat.test'],
    ['Alice<alice@chat.test>', 'alice@chat.test'],
    ['"Liddell, Alice" <alice@chat.test>', 'alice@chat.test'],
    ['"mallory@evil.test" <alice@chat.test>', 'alice@chat.test'],
    ['"a \\" <x@y>" <alice@chat.test>', 'alice@chat.test'],
    ['Dr. A. Liddell <alice@chat.test>', 'alice@chat.test'],
    ['"A." B "C" <alice@chat.test>', 'alice@chat.test'],
    ['=?utf-8?Q?Al=C3=ADce_=3Cx=40y=3E?= <alice@chat.test>', 'alice@chat.test'],
    ['Al\xc3\xadce <alice@chat.test>', 'alice@chat.test'],
    ['(c) Alice (d (e)) <alice@chat.test> (Cron Daemon)', 'alice@chat.test'],
    ['root@chat.test (Cron Daemon)', 'root@chat.test'],
    ['\r\n alice@chat.test', 'alice@chat.test'],
    ['"Alice"\r\n\t<alice@chat.test>', 'alice@chat.test'],
    ['"alice"@chat.test', 'alice@chat.test'],
    ['<"Al Ice"@chat.test>', '"al ice"@chat.test'],
    ['"a@b"@chat.test', '"a@b"@chat.test'],
    ['"a\\"b\\c"@chat.test', '"a\\"bc"@chat.test'],
    ["a!#$%&'*+-/?=^_`{|}~.b@chat.test", "a!#$%&'*+-/?=^_`{|}~.b@chat.test"],
    ['alice@_teal.test', 'alice@_teal.test'],
    ['alice@localhost', 'alice@localhost'],
    ['alice@[192.0.2.1]', 'alice@[192.0.2.1]'],
    ['<alice@[IPv6:2001:DB8:0:0::1]>', 'alice@[ipv6:2001:db8::1]'],
    ['alice@xn--bcher-kva.test', 'alice@xn--bcher-kva.test'],
  ] as const) {
    const author = from(value);
    assert.ok('address' in author, `${value}: ${JSON.stringify(author)}`);
    assert.equal(author.address, address, value);
    assert.equal(`${author.local}@${author.domain}`, address, value);
  }
});

test('what two readers could take for different authors is a problem, never a guess', () => {
  for (const [value, problem] of [
    ['', /no address/],
    ['   ', /no address/],
    ['(alice)', /no address/],
    ['Alice', /no address/],
    ['"alice@chat.test"', /no address/],
    ['<>', /cannot be read/],
    ['Alice <>', /cannot be read/],
    ['alice@chat.test, bob@chat.test', /more than one/],
    ['<alice@chat.test>, <bob@chat.test>', /more than one/],
    ['alice@chat.test,', /more than one/],
    [',alice@chat.test', /more than one/],
    ['Liddell, Alice <alice@chat.test>', /more than one address, or a comma/],
    ['bob@chat.test <alice@chat.test>', /more than one/],
    ['Bob bob@chat.test <alice@chat.test>', /second address/],
    ['<bob@chat.test> <alice@chat.test>', /more than one/],
    ['<alice@chat.test> bob@chat.test', /text behind/],
    ['alice@chat.test bob@chat.test', /text behind/],
    ['alice@chat.test;', /text behind/],
    ['friends: alice@chat.test;', /group/],
    ['undisclosed-recipients:;', /group/],
    ['<@relay.test:alice@chat.test>', /route/],
    ['@relay.test:alice@chat.test', /route/],
    ['alice @chat.test', /space/],
    ['alice@ chat.test', /domain that cannot/],
    ['alice@chat.test .evil.test', /text behind/],
    ['alice@chat. test', /domain that cannot/],
    ['alice . b@chat.test', /space/],
    ['a."b"@chat.test', /before the @/],
    ['"a".b@chat.test', /./],
    ['alice(x)@chat.test', /./],
    ['alice@(x)chat.test', /domain that cannot/],
    ['< alice@chat.test>', /cannot be read/],
    ['<alice@chat.test >', /angle brackets/],
    ['<alice@chat.test', /angle brackets/],
    ['<<alice@chat.test>>', /cannot be read/],
    ['alice@chat.test>', /text behind/],
    ['alice@chat.test (<bob@chat.test>)', /address in a comment/],
    ['(bob@chat.test) <alice@chat.test>', /address in a comment/],
    ['alice@chat.test (open', /comment that does not end/],
    ['"open <alice@chat.test>', /quoted string that does not end/],
    ['=?utf-8?q?alice=40chat.test=3E?=@evil.test', /encoded word/],
    ['alice@=?utf-8?q?chat?=.test', /domain that cannot/],
    ['alic\xc3\xa9@chat.test', /./],
    ['alice@ch\xc3\xa1t.test', /./],
    ['"alic\xc3\xa9"@chat.test', /cannot be read/],
    ['alice@chat.test\0', /control/],
    ['Al\x0bice <alice@chat.test>', /control/],
    ['.alice@chat.test', /cannot be read/],
    ['alice.@chat.test', /cannot be read/],
    ['al..ice@chat.test', /cannot be read/],
    ['""@chat.test', /cannot be read/],
    ['alice@chat.test.', /domain/],
    ['alice@.chat.test', /domain/],
    ['alice@-chat.test', /domain/],
    ['alice@chat!.test', /domain/],
    ['alice@', /domain/],
    ['alice@bob@chat.test', /text behind/],
    ['alice@192.0.2.1', /network address without brackets/],
    ['alice@[192.0.2.1', /literal/],
    ['alice@[192.0.2.01]', /literal/],
    ['alice@[192.0.2.1].evil.test', /text behind/],
    ['alice@[2001:db8::1]', /literal/],
    ['alice@[IPv6:192.0.2.1]', /literal/],
    ['alice@[IPv6:fe80::1%eth0]', /literal/],
    ['alice@[ 192.0.2.1]', /literal/],
    ['alice@[chat.test]', /literal/],
    [`${'a'.repeat(65)}@chat.test`, /too long/],
    [`a@${'a.'.repeat(127)}test`, /too long/],
    [`a@${'a'.repeat(64)}.test`, /domain/],
  ] as const) {
    const author = from(value);
    assert.ok('problem' in author, `${value}: ${JSON.stringify(author)}`);
    assert.match(author.problem, problem, value);
  }
});

test('no From field, or more than one, is a problem', () => {
  for (const [text, problem] of [
    ['To: a@b\r\n\r\n', 'there is no From field'],
    ['From: a@b\r\nFrom: a@b\r\n\r\n', 'there is more than one From field'],
    ['From: a@b\r\nfrom : c@d\r\n\r\n', 'there is more than one From field'],
    ['To: x\r\n\r\nFrom: a@b\r\n', 'there is no From field'],
  ] as const) {
    assert.deepEqual(addressOfFrom(parseHeader(Buffer.from(text))), { problem }, text);
  }
});

test('an envelope address is read as RFC 5321 has it, its local part kept', () => {
  for (const [path, local, domain, literal] of [
    ['Alice@Chat.TEST', 'Alice', 'chat.test'],
    ['alice+tag@chat.test', 'alice+tag', 'chat.test'],
    ['"alice"@chat.test', 'alice', 'chat.test'],
    ['"a b"@chat.test', '"a b"', 'chat.test'],
    ['SRS0=Hh=Tt=x.test=bob@fwd.test', 'SRS0=Hh=Tt=x.test=bob', 'fwd.test'],
    ['a@_alpha.test', 'a', '_alpha.test'],
    ['a@[127.0.0.1]', 'a', '[127.0.0.1]', '127.0.0.1'],
    ['a@[ipv6:::1]', 'a', '[ipv6:::1]', '::1'],
    ['a@[IPv6:::FFFF:7f00:1]', 'a', '[ipv6:::ffff:7f00:1]', '::ffff:7f00:1'],
    [`${'a'.repeat(64)}@b`, 'a'.repeat(64), 'b'],
  ] as const) {
    assert.deepEqual(parseMailbox(path), { local, domain, ...(literal ? { literal } : {}) }, path);
  }
  for (const path of [
    ...[
      '',
      'a',
      '@b',
      'a@',
      '<a@b>',
      'a@b ',
      ' a@b',
      'a@b>',
      'a b@c',
      '@x:a@b',
      'a@b@c',
      'a@b,c@d',
      'a@b\r\n',
    ],
    ...[
      '\xe9@b.test',
      'a@\xe9.test',
      'a@b..c',
      '"a@b',
      '"a"b@c',
      '"a\tb"@c',
      'a@[]',
      'a@[1.2.3]',
      'a@1.2.3.4',
    ],
    ...[`${'a'.repeat(65)}@b`, `a@${'b.'.repeat(200)}c`, 'a(x)@b', 'a@b(x)'],
  ]) {
    assert.equal(parseMailbox(path), undefined, path);
  }
});

test('a tag is taken off the local part, but not where nothing would be left', () => {
  for (const [local, user] of [
    ['user', 'user'],
    ['user+tag', 'user'],
    ['user+a+b', 'user'],
    ['user+', 'user'],
    ['+tag', '+tag'],
    ['"a +b"', '"a +b"'],
  ] as const) {
    assert.equal(withoutTag(local), user);
  }
});
