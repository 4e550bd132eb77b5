import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { deadline } from './deadline.ts';
import { reasonOf } from './dialler.ts';
import type { Dial } from './dialler.ts';
import { createReplyReader } from './reply.ts';
import type { Reply, ReplyReader } from './reply.ts';

/**
 * How long each step may take: those of RFC 5321 4.5.3.2 shortened, since a chat message that waits minutes is better
 * tried on another host or later. After the dot the ten minutes of the RFC stay: giving up there makes duplicates.
 */
export const STEP_TIME = {
  connect: 20 * second,
  tls: 20 * second,
  greeting: minute,
  command: minute,
  data: 2 * minute,
  block: 3 * minute,
  dot: 10 * minute,
} as const;

/** Bytes written at once, each within STEP_TIME.block. */
const BLOCK = 256 * 1024;

export interface SmtpClientParts {
  readonly dial: Dial;
  readonly clock: Clock;
  /** What we call ourselves in EHLO. */
  readonly helo: string;
}

/** A connection to a mail server behind STARTTLS and EHLO. Every method rejects when it breaks or `signal` is aborted. */
export interface SmtpClient extends Disposable {
  /** Keywords of EHLO's answer in capitals, each with its parameters. */
  readonly extensions: ReadonlyMap<string, string>;
  /** Whether it can be used for more: not closed, nothing unasked has come. */
  readonly usable: boolean;
  /** Sends lines at once and reads a reply for each. */
  commands(lines: readonly string[], signal: AbortSignal): Promise<Reply[]>;
  /** Sends DATA's text (dots stuffed, ended by CRLF) and the dot, and reads the reply to it. */
  text(chunks: readonly Buffer[], signal: AbortSignal): Promise<Reply>;
}

/** The server does not do what we need: an answer of its own, or its absence. */
export class SmtpRefused extends Error {
  override name = 'SmtpRefused';
  readonly reply: Reply | undefined;

  constructor(message: string, reply?: Reply) {
    super(message);
    this.reply = reply;
  }
}

/** The certificate, or TLS itself, is not what it must be; the message says why. */
export class TlsRefused extends Error {
  override name = 'TlsRefused';
}

/** Connects to port 25 of `host`, through STARTTLS to the second EHLO. Rejects with SmtpRefused, TlsRefused and others. */
export async function connectSmtp(
  { dial, clock, helo }: SmtpClientParts,
  host: string,
  tls: ConnectionOptions,
  signal: AbortSignal,
): Promise<SmtpClient> {
  using scope = new DisposableStack();
  let raw: Socket;
  {
    using time = deadline(clock, STEP_TIME.connect, 'connecting', signal);
    raw = await dial(host, 25, time.signal);
  }
  scope.defer(() => raw.destroy());
  let wire = createWire(raw, clock);
  const ask = async (line: string) => {
    await wire.write(`${line}\r\n`, STEP_TIME.command, signal);
    return wire.reply(STEP_TIME.command, signal);
  };
  expect(await wire.reply(STEP_TIME.greeting, signal), 220, 'the connection');
  const before = extensionsOf(expect(await ask(`EHLO ${helo}`), 250, 'EHLO'));
  if (!before.has('STARTTLS')) throw new TlsRefused('it does not offer STARTTLS');
  expect(await ask('STARTTLS'), 220, 'STARTTLS');
  // What came with the answer was sent before TLS by anybody between us (RFC 3207 6).
  if (wire.pending) throw new TlsRefused('it said more before TLS than it was asked');
  wire.release();
  {
    using time = deadline(clock, STEP_TIME.tls, 'the TLS handshake', signal);
    const secure = await handshake(raw, tls, time.signal);
    scope.defer(() => secure.destroy());
    wire = createWire(secure, clock);
  }
  const extensions = extensionsOf(expect(await ask(`EHLO ${helo}`), 250, 'EHLO'));
  const open = scope.move();
  return {
    extensions,
    get usable() {
      return wire.usable;
    },
    async commands(lines, within) {
      await wire.write(lines.map((line) => `${line}\r\n`).join(''), STEP_TIME.command, within);
      const replies: Reply[] = [];
      for (const line of lines)
        replies.push(await wire.reply(line === 'DATA' ? STEP_TIME.data : STEP_TIME.command, within));
      return replies;
    },
    async text(chunks, within) {
      for (const chunk of chunks)
        for (let at = 0; at < chunk.length; at += BLOCK)
          await wire.write(chunk.subarray(at, at + BLOCK), STEP_TIME.block, within);
      await wire.write('.\r\n', STEP_TIME.block, within);
      return wire.reply(STEP_TIME.dot, within);
    },
    [Symbol.dispose]: () => open.dispose(),
  };
}

function expect(reply: Reply, code: number, what: string): Reply {
  if (reply.code !== code) throw new SmtpRefused(`it refused ${what}`, reply);
  return reply;
}

async function handshake(raw: Socket, options: ConnectionOptions, signal: AbortSignal): Promise<Socket> {
  const secure = connectTls({ ...options, socket: raw });
  try {
    await once(secure, 'secureConnect', { signal });
  } catch (error) {
    secure.destroy();
    if (signal.aborted) throw reasonOf(signal);
    throw new TlsRefused(error instanceof Error ? error.message : String(error));
  }
  return secure;
}

/** `EHLO`'s answer (RFC 5321 4.1.1.1): its first line is a greeting. */
function extensionsOf({ lines }: Reply): ReadonlyMap<string, string> {
  const entries = lines.slice(1).map((line) => {
    const [keyword = '', ...parameters] = line.trim().split(/ +/);
    return [keyword.toUpperCase(), parameters.join(' ')] as const;
  });
  return new Map(entries);
}

/** Bytes out and replies in, with a limit for each step. */
function createWire(socket: Socket, clock: Clock) {
  const reader: ReplyReader = createReplyReader();
  const replies: Reply[] = [];
  let broken: Error | undefined;
  /** TypeScript does not see that it changes meanwhile. */
  const breakage = (): Error | undefined => broken;
  /** One waits at a time. */
  let wake = () => {};
  const fail = (error: Error): void => {
    broken ??= error;
    wake();
  };
  const onData = (chunk: Buffer) => {
    try {
      replies.push(...reader.push(chunk));
      if (replies.length > MAX_UNREAD) throw new Error('more replies than questions');
    } catch (error) {
      socket.destroy();
      fail(error as Error);
    }
    wake();
  };
  const onClose = () => fail(new Error('the connection was closed'));
  socket.on('data', onData);
  socket.on('error', fail);
  socket.on('close', onClose);

  const until = async (ready: () => boolean, time: AbortSignal): Promise<void> => {
    while (!ready()) {
      if (time.aborted) throw reasonOf(time);
      await new Promise<void>((resolve) => {
        wake = resolve;
        time.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  };

  return {
    get pending() {
      return reader.pending || replies.length > 0;
    },
    get usable() {
      return broken === undefined && !socket.destroyed && replies.length === 0 && !reader.pending;
    },
    release() {
      socket.off('data', onData);
      socket.off('close', onClose);
    },
    async write(bytes: Buffer | string, ms: number, signal: AbortSignal): Promise<void> {
      if (broken) throw broken;
      if (socket.write(bytes)) return;
      using time = deadline(clock, ms, 'taking what we send', signal);
      let drained = false;
      const onDrain = () => {
        drained = true;
        wake();
      };
      socket.once('drain', onDrain);
      try {
        await until(() => drained || broken !== undefined, time.signal);
      } finally {
        socket.off('drain', onDrain);
      }
      const now = breakage();
      if (now) throw now;
    },
    async reply(ms: number, signal: AbortSignal): Promise<Reply> {
      using time = deadline(clock, ms, 'its reply', signal);
      await until(() => replies.length > 0 || broken !== undefined, time.signal);
      const reply = replies.shift();
      if (reply) return reply;
      throw broken ?? new Error('the connection was closed');
    },
  };
}

/** Replies that came before they were asked for: PIPELINING has some hundreds (MAIL, a thousand RCPT, DATA). */
const MAX_UNREAD = 2000;
