import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { headerSize, sized } from './fixture.ts';

export interface Shape {
  readonly title: string;
  readonly message: Buffer;
  readonly headerSize: number;
}

const realMail = join(import.meta.dirname, '../data/delta-chat-mail');

/** Messages of all shapes that a store may be handed, more than a hundred, the same ones each time. */
export function shapes(): Shape[] {
  return [...real(), ...crossed(), ...odd(), ...sizes()];
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function shape(title: string, message: Buffer | string): Shape {
  const bytes = typeof message === 'string' ? Buffer.from(message, 'latin1') : message;
  return { title, message: bytes, headerSize: headerSize(bytes) };
}

/** Mail that Delta Chat made. */
function real(): Shape[] {
  return readdirSync(realMail)
    .filter((name) => name.endsWith('.eml'))
    .sort()
    .map((name) => shape(name, readFileSync(join(realMail, name))));
}

/** Each header with each body. */
function crossed(): Shape[] {
  const headers = {
    plain: 'From: a@example.org\r\nTo: b@example.org\r\nSubject: hello\r\n',
    folded: 'Subject: one\r\n two\r\n\tthree\r\nTo: a@example.org,\r\n  b@example.org\r\n',
    '8-bit': 'Subject: gr\xfc\xdfe \xff\xfe\r\nFrom: "\xe9" <a@example.org>\r\n',
    'without colon': 'this line is no field\r\nFrom: a@example.org\r\n',
    'encoded words': 'Subject: =?utf-8?B?8J+YgA==?= =?iso-8859-1?Q?=E9?=\r\n',
    'a thousand fields': Array.from(
      { length: 1000 },
      (_, n) => `X-Field-${n}: ${'v'.repeat(n % 50)}\r\n`,
    ).join(''),
  };
  const bodies = {
    empty: '',
    'one line': 'hello\r\n',
    'no line end': 'hello',
    '8-bit': Array.from({ length: 255 }, (_, n) => String.fromCharCode(n + 1)).join(''),
    'a huge line': 'x'.repeat(100_000),
    'bare line ends': 'a\nb\rc\n\r\n\n\r',
    dots: '.\r\n..\r\n.\r\n',
    'empty lines': '\r\n\r\n\r\n',
    'empty parts':
      '--b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b\r\n--b--\r\nepilogue without end',
    'nested parts': '--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n--a--',
  };
  return Object.entries(headers).flatMap(([header, head]) =>
    Object.entries(bodies).map(([body, rest]) =>
      shape(`header ${header}, body ${body}`, `${head}\r\n${rest}`),
    ),
  );
}

function odd(): Shape[] {
  return [
    shape('no header end', 'Subject: x\r\nFrom: a@example.org'),
    shape('no header end, after a line', 'Subject: x\r\n'),
    shape('no header at all', '\r\nonly a body\r\n'),
    shape('only the empty line', '\r\n'),
    shape(
      'random bytes without line ends',
      Buffer.from(noise(5000).map((byte) => (byte === 13 ? 14 : byte))),
    ),
    shape('a header of 100 KB', `X-Long: ${'y'.repeat(100_000)}\r\n\r\nbody`),
    shape('a header of 300 KB without end', `X-Long: ${'y'.repeat(300_000)}`),
    shape('a header of 300 KB', `X-Long: ${'y'.repeat(300_000)}\r\n\r\nbody`),
  ];
}

function sizes(): Shape[] {
  const around = (size: number) => [size - 1, size, size + 1];
  const all = [
    ...[0, 1, 2, 3, 4],
    ...around(4096),
    ...around(8192),
    ...around(16 * 1024),
    ...around(32 * 1024),
    ...around(64 * 1024),
    ...around(256 * 1024),
    ...[1024 * 1024, 5_000_000, 30_000_000],
  ];
  return all.map((size) => shape(`${size} bytes`, sized(size)));
}

/** The same bytes each time, without a pattern that a compressor or a codec would treat kindly. */
function noise(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, n) =>
    createHash('sha256').update(`noise ${n}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}
