import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_ADDRESSES, parseAddresses } from '../../../src/imap/structure/addresses.ts';

/** name, route, mailbox, host; `-` is NIL. */
const short = (value: string) =>
  parseAddresses(value).map(({ name, route, mailbox, host }) =>
    [name, route, mailbox, host].map((text) => text ?? '-').join('|'),
  );

const cases: readonly (readonly [value: string, addresses: readonly string[]])[] = [
  ['a@b.c', ['-|-|a|b.c']],
  ['<a@b.c>', ['-|-|a|b.c']],
  ['Alice <a@b.c>, "B, \\"ob\\"" <b@c>', ['Alice|-|a|b.c', 'B, "ob"|-|b|c']],
  ['John  Q. Public <j.q@x>', ['John Q. Public|-|j.q|x']],
  ['a@b (Alice (A.))', ['Alice (A.)|-|a|b']],
  ['"a b"@c', ['-|-|a b|c']],
  ['=?utf-8?q?=C3=A9?= <e@x>', ['=?utf-8?q?=C3=A9?=|-|e|x']],
  ['"hidden-recipients": ;', ['-|-|hidden-recipients|-', '-|-|-|-']],
  ['undisclosed-recipients:;', ['-|-|undisclosed-recipients|-', '-|-|-|-']],
  ['G: a@b, C <c@d>;, e@f', ['-|-|G|-', '-|-|a|b', 'C|-|c|d', '-|-|-|-', '-|-|e|f']],
  ['G: a@b', ['-|-|G|-', '-|-|a|b', '-|-|-|-']],
  ['A: B: a@b;', ['-|-|A|-', '-|-|-|-', '-|-|B|-', '-|-|a|b', '-|-|-|-']],
  ['<@r1,@r2:a@b>', ['-|@r1,@r2|a|b']],
  ['a@[192.0.2.1], <b@[IPv6:2001:db8::1]>', ['-|-|a|[192.0.2.1]', '-|-|b|[IPv6:2001:db8::1]']],
  ['nobody', ['-|-|nobody|']],
  ['MAILER-DAEMON (Mail System)', ['Mail System|-|MAILER-DAEMON|']],
  ['"" <a@b>', ['-|-|a|b']],
  ['Caf\xe9 <a@b>', ['Caf\xe9|-|a|b']],
  ['a@b c@d, e@f', ['-|-|a|b', '-|-|e|f']],
  [', ,,a@b;,', ['-|-|a|b']],
  ['', []],
  [' (only) ', []],
  ['<>', ['-|-||']],
  ['Name <a@b', ['Name|-|a|b']],
  ['"unended <a@b>', ['-|-|unended <a@b>|']],
  ['a@b (unended', ['-|-|a|b']],
  ['[x] <a@b>', ['x|-|a|b']],
];

test('address fields are read as ENVELOPE wants them, leniently', () => {
  for (const [value, addresses] of cases) assert.deepEqual(short(value), addresses, value);
});

test('the number of addresses is bounded, and odd values cost linear time', () => {
  assert.equal(parseAddresses('a@b,'.repeat(MAX_ADDRESSES + 10)).length, MAX_ADDRESSES);
  const started = performance.now();
  for (const part of ['(', '"', '<', '\\', 'a@', ':', ';', '[', 'a ', '()', '<@', ','])
    parseAddresses(part.repeat(200_000));
  assert.ok(performance.now() - started < 2000);
});
