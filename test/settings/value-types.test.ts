import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  MEBIBYTE,
  certAndKeyPaths,
  databaseName,
  decimalNumber,
  dkimSelector,
  freeText,
  ipAddress,
  mailAddress,
  mongodbUrl,
  networkList,
  oneOf,
  path,
  port,
  redisUrl,
  serverList,
  size,
  url,
  wholeNumber,
  yesNo,
} from '../../src/settings/value-types.ts';
import type { ValueType } from '../../src/settings/value-types.ts';

const base = '/srv/teal';
const mailbox = size('mebibytes', MEBIBYTE, 4096 * MEBIBYTE);
const message = size('bytes', 1000, 256 * MEBIBYTE);

interface Case {
  readonly name: string;
  readonly type: ValueType<unknown>;
  readonly good: readonly (readonly [text: string, value: unknown])[];
  readonly bad: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: 'a whole number is digits within the range',
    type: wholeNumber(1, 64),
    good: [
      ['1', 1],
      ['64', 64],
      ['009', 9],
    ],
    bad: ['', '0', '65', '-1', '+1', '1.0', '1e1', '0x1', '1_0', 'ten', ' 1', '9'.repeat(400), '١'],
  },
  {
    name: 'a decimal number has at most five places',
    type: decimalNumber(0, 100),
    good: [
      ['5', 5],
      ['7.5', 7.5],
      ['0', 0],
    ],
    bad: ['', '.5', '5.', '1e1', 'NaN', 'Infinity', '-1', '100.1', '1.123456'],
  },
  {
    name: 'a port may be 0',
    type: port,
    good: [
      ['0', 0],
      ['65535', 65_535],
    ],
    bad: ['', '65536', '-1', '25.0'],
  },
  {
    name: 'a bare number in a mailbox size counts megabytes, as parse_size_mb does',
    type: mailbox,
    good: [
      ['500M', 500 * MEBIBYTE],
      ['500m', 500 * MEBIBYTE],
      ['500MB', 500 * MEBIBYTE],
      ['500 MB', 500 * MEBIBYTE],
      ['2G', 2048 * MEBIBYTE],
      ['2gb', 2048 * MEBIBYTE],
      ['100', 100 * MEBIBYTE],
    ],
    bad: ['', 'M', '0', '0M', '5G', '1T', '1K', '500B', '1.5G', '-1M', '500 M B', '9'.repeat(30)],
  },
  {
    name: 'a bare number in a message size counts bytes',
    type: message,
    good: [
      ['31457280', 31_457_280],
      ['30M', 31_457_280],
      ['30 MB', 31_457_280],
    ],
    bad: ['', '999', '268435457', '1G', '31457280B', '30 MiB'],
  },
  {
    name: 'yes and no are the words of configparser, in any case',
    type: yesNo,
    good: [
      ...['true', 'True', 'TRUE', 'yes', 'on', '1'].map((text) => [text, true] as const),
      ...['false', 'False', 'no', 'Off', '0'].map((text) => [text, false] as const),
    ],
    bad: ['', 'y', 't', '2', 'enabled', 'none'],
  },
  {
    name: 'one of several words',
    type: oneOf('info', 'debug'),
    good: [
      ['info', 'info'],
      ['DEBUG', 'debug'],
    ],
    bad: ['', 'inf', 'trace'],
  },
  {
    name: 'MongoDB is named by a connection string, with one host or several',
    type: mongodbUrl,
    good: [
      'mongodb://127.0.0.1:27017',
      'mongodb://u:p%40ss@a:27017,b:27017,[::1]:27017/?replicaSet=rs0&w=majority',
      'mongodb+srv://cluster.example.org/admin',
    ].map((text) => [text, text] as const),
    bad: ['', '127.0.0.1:27017', 'http://127.0.0.1', 'mongodb://', 'mongodb:///teal', 'mongodb://a b'],
  },
  {
    name: 'Redis is named by a URL',
    type: redisUrl,
    good: ['redis://127.0.0.1:6379', 'rediss://:pass@redis.example.org/3'].map(
      (text) => [text, text] as const,
    ),
    bad: ['', '127.0.0.1:6379', 'redis://', 'http://127.0.0.1', 'redis://a b', 'redis://host:port'],
  },
  {
    name: 'the name of a database',
    type: databaseName,
    good: ['teal', 'teal_2', 'a'.repeat(38)].map((text) => [text, text] as const),
    bad: ['', 'Teal', '1teal', 'te.al', 'te/al', '$teal', 'a'.repeat(39)],
  },
  {
    name: 'a DKIM selector',
    type: dkimSelector,
    good: [
      ['opendkim', 'opendkim'],
      ['K2027.Relay-1', 'k2027.relay-1'],
      ['a'.repeat(63), 'a'.repeat(63)],
    ],
    bad: ['', '-a', 'a-', 'a..b', '.a', 'a_b', 'a b', 'a;b', 'a'.repeat(64)],
  },
  {
    name: 'free text has a bound',
    type: freeText,
    good: [
      ['', ''],
      ['a\nb', 'a\nb'],
      ['x'.repeat(2000), 'x'.repeat(2000)],
    ],
    bad: ['x'.repeat(2001)],
  },
  {
    name: 'a mail address, or none',
    type: mailAddress,
    good: [
      ['', ''],
      ['a.b+c@example.org', 'a.b+c@example.org'],
      ['a@[203.0.113.5]', 'a@[203.0.113.5]'],
    ],
    bad: ['a', '@b', 'a@', 'a@b@c', 'a b@c', '<a@b>', 'a@b, c@d', `${'x'.repeat(65)}@b`],
  },
  {
    name: 'a path becomes absolute',
    type: path(),
    good: [
      ['data', '/srv/teal/data'],
      ['./a b', '/srv/teal/a b'],
      ['/var/lib/teal/', '/var/lib/teal'],
    ],
    bad: ['', 'a\nb', 'a\0b'],
  },
  { name: 'a path that may be empty stays so', type: path(true), good: [['', '']], bad: ['\0'] },
  {
    name: 'certificate and key are two paths',
    type: certAndKeyPaths,
    good: [
      ['', undefined],
      ['/a/fullchain.pem  /a/key.pem', { cert: '/a/fullchain.pem', key: '/a/key.pem' }],
      ['c.pem\nk.pem', { cert: '/srv/teal/c.pem', key: '/srv/teal/k.pem' }],
    ],
    bad: ['/a', '/a /b /c', '/a \0'],
  },
  {
    name: 'a URL is kept as it is written',
    type: url(),
    good: [
      ['https://notifications.delta.chat/notify', 'https://notifications.delta.chat/notify'],
      ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ],
    bad: ['', 'example.org', 'ftp://x', 'https://', 'https:x', 'https://a b', 'file:///etc/passwd'],
  },
  { name: 'a URL that may be empty', type: url(true), good: [['', '']], bad: ['x'] },
  {
    name: 'an address of the machine',
    type: ipAddress,
    good: [
      ['127.0.0.1', '127.0.0.1'],
      ['::', '::'],
    ],
    bad: ['', 'localhost', '1.2.3', '[::1]', '1.2.3.4:25'],
  },
  {
    name: 'DNS servers get their port',
    type: serverList,
    good: [
      ['', []],
      ['127.0.0.1:5353', ['127.0.0.1:5353']],
      ['127.0.0.1, ::1', ['127.0.0.1:53', '[::1]:53']],
      ['[2001:db8::5]:54  [::1]', ['[2001:db8::5]:54', '[::1]:53']],
    ],
    bad: [
      'dns.example',
      '1.2.3.4:0',
      '1.2.3.4:65536',
      '1.2.3.4:x',
      '[1::2',
      '1.2.3.4:53:54',
      '1.1.1.1 '.repeat(9),
    ],
  },
  {
    name: 'addresses and networks',
    type: networkList,
    good: [
      ['', []],
      ['192.0.2.7', ['192.0.2.7']],
      ['192.0.2.0/24, 2001:DB8::/32  ::1', ['192.0.2.0/24', '2001:db8::/32', '::1']],
      ['192.0.2.7/32\n2001:db8::5/128', ['192.0.2.7/32', '2001:db8::5/128']],
      ['128.0.0.0/1 8000::/1', ['128.0.0.0/1', '8000::/1']],
    ],
    bad: [
      'proxy.example',
      '192.0.2.0/0',
      '192.0.2.0/33',
      '192.0.2.0/024',
      '192.0.2.0/',
      '192.0.2.0/24/24',
      '192.0.2.0/255.255.255.0',
      '192.0.2.7/24',
      '2001:db8::/129',
      '2001:db8::1/64',
      '::/0',
      'fe80::1%eth0',
      '::ffff:192.0.2.7',
      '192.0.2.7:25',
      '[::1]',
      '192.0.2.7 '.repeat(65),
    ],
  },
];

for (const { name, type, good, bad } of cases)
  test(name, () => {
    for (const [text, value] of good) {
      assert.deepEqual(type.parse(text, base), { value }, text);
      assert.deepEqual(type.parse(type.format(value), base), { value }, `${text}, written and read again`);
    }
    for (const text of bad)
      assert.equal(type.parse(text, base), undefined, JSON.stringify(text.slice(0, 40)));
  });

describe('what is allowed is said in words', () => {
  test('with the range', () => {
    assert.equal(wholeNumber(1, 64, 'days').allowed, 'a whole number of days from 1 to 64');
    assert.match(mailbox.allowed, /from 1M to 4G$/);
    assert.match(message.allowed, /from 1000 to 256M$/);
    assert.equal(oneOf('sqlite').allowed, '`sqlite`, the only one so far');
    assert.equal(oneOf('a', 'b').allowed, 'a, b');
  });
});

test('whatever the text, each type reads it or not, writes what it read, and reads that as the same', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...cases),
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...cases.flatMap((each) => each.bad))),
      ({ type }, text) => {
        const read = type.parse(text, base);
        if (read) assert.deepEqual(type.parse(type.format(read.value), base), read);
      },
    ),
  );
});
