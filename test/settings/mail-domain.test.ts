import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressDomain, kindOfMailDomain, mailDomainType } from '../../src/settings/mail-domain.ts';

const read = (text: string) => mailDomainType.parse(text, '/')?.value;

test('mail_domain is a DNS name, a private name or an IPv4 address', () => {
  const cases = [
    ['chat.example.org', 'name', 'chat.example.org'],
    ['Chat.Example.ORG', 'name', 'chat.example.org'],
    ['xn--bcher-kva.example', 'name', 'xn--bcher-kva.example'],
    ['a-b.9.example', 'name', 'a-b.9.example'],
    ['_teal.test', 'private', '_teal.test'],
    ['_chat.localchat', 'private', '_chat.localchat'],
    ['203.0.113.5', 'ipv4', '[203.0.113.5]'],
  ] as const;
  for (const [text, kind, domain] of cases) {
    const value = read(text);
    assert.ok(value !== undefined, text);
    assert.equal(kindOfMailDomain(value), kind);
    assert.equal(addressDomain(value), domain);
  }
});

test('mail_domain is nothing else', () => {
  const label = 'x'.repeat(64);
  const bad = [
    '', 'localhost', '_relay', '.', 'a..b', '.a.b', 'a.b.', '-a.b', 'a-.b', 'a_b.c', 'a._b.c', '__a.b', 'bücher.example',
    '{mail_domain}', 'a b.c', 'https://a.b', 'user@a.b', 'a.b/c', 'a.b:25', '1.2.3', '1.2.3.400', '01.2.3.4', 'a.1',
    '[203.0.113.5]', '::1', '2001:db8::1', `${label}.b`, 'x.'.repeat(127) + 'xx', 'a.b\nc.d',
  ]; // prettier-ignore
  for (const text of bad) assert.equal(read(text), undefined, text);
});
