import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { deadline, reasonOf } from './deadline.ts';
import type { Dial } from './dialler.ts';
import type { Reply } from './reply.ts';
import { createWire, SmtpRefused } from './smtp-wire.ts';

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
  /** Sends lines at once and reads a reply for each. Rejects with SmtpRefused where the server said that it goes away. */
  commands(lines: readonly string[], signal: AbortSignal): Promise<Reply[]>;
  /**
   * Sends DATA's text (dots stuffed, ended by CRLF) and the dot, and reads the reply to it. A refusal that comes before
   * the dot is the reply, and the dot is not sent. Rejects with Unconfirmed where the dot was sent.
   */
  text(chunks: Iterable<Buffer>, signal: AbortSignal): Promise<Reply>;
  /** Says QUIT where that can be said, and ends the connection. */
  [Symbol.dispose](): void;
}

/** The whole message was sent, dot and all, and there is no answer: it may have been taken. */
export class Unconfirmed extends Error {
  override name = 'Unconfirmed';
}

/** The certificate, or TLS itself, is not what it must be; the message says why, `reply` what the server said to it. */
export class TlsRefused extends Error {
  override name = 'TlsRefused';
  readonly reply: Reply | undefined;

  constructor(message: string, reply?: Reply) {
    super(message);
    this.reply = reply;
  }
}

/** What TLS must be like on port 25. */
export interface SmtpTls extends ConnectionOptions {
  /** Looks at the other side once TLS stands; throws TlsRefused where it will not do. */
  readonly judge?: (peer: TLSSocket) => void;
}

/** Connects to port 25 of `host`, through STARTTLS to the second EHLO. Rejects with SmtpRefused, TlsRefused and others. */
export async function connectSmtp(
  { dial, clock, helo }: SmtpClientParts,
  host: string,
  tls: SmtpTls,
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
    return wire.reply(STEP_TIME.command, replyTo(line), signal);
  };
  expect(await wire.reply(STEP_TIME.greeting, 'its greeting', signal), 220, 'the connection');
  const hello = await ask(`EHLO ${helo}`);
  // RFC 5321 4.1.4: what knows no EHLO has no extensions.
  if (NOT_KNOWN.has(hello.code)) throw new TlsRefused('it does not offer STARTTLS', hello);
  if (!extensionsOf(expect(hello, 250, 'EHLO')).has('STARTTLS'))
    throw new TlsRefused('it does not offer STARTTLS');
  const go = await ask('STARTTLS');
  // A server that is set up badly is mended one day: for now, whatever it says (RFC 3207 4).
  if (go.code !== 220) throw new TlsRefused('it refused STARTTLS', go);
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
  /** Between 354 and the dot every line is text. */
  let inText = false;
  return {
    extensions,
    get usable() {
      return wire.usable;
    },
    async commands(lines, within) {
      await wire.write(lines.map((line) => `${line}\r\n`).join(''), STEP_TIME.command, within);
      const replies: Reply[] = [];
      for (const line of lines) {
        const time = line === 'DATA' ? STEP_TIME.data : STEP_TIME.command;
        const reply = await wire.reply(time, replyTo(line), within);
        inText = line === 'DATA' && reply.code === 354;
        replies.push(reply);
      }
      return replies;
    },
    async text(chunks, within) {
      try {
        for (const chunk of chunks) {
          if (wire.pending) break;
          await wire.write(chunk, STEP_TIME.block, within);
        }
      } catch (error) {
        // It may have said why it hung up.
        if (!wire.pending) throw error;
      }
      if (wire.pending) {
        const early = await wire.reply(STEP_TIME.command, 'its reply in the middle of the message', within);
        wire.spoil('the message was not sent to its end');
        if (early.code < 400) throw new Error('it answered before the end of the message');
        return early;
      }
      try {
        await wire.write('.\r\n', STEP_TIME.block, within);
        inText = false;
        return await wire.reply(STEP_TIME.dot, 'its reply to the message', within);
      } catch (error) {
        throw new Unconfirmed(error instanceof Error ? error.message : String(error));
      }
    },
    [Symbol.dispose]: () => {
      if (wire.usable && !inText) wire.quit();
      else open.dispose();
    },
  };
}

/** RFC 5321 4.2.4: the command is not known, or not implemented. */
const NOT_KNOWN: ReadonlySet<number> = new Set([500, 502, 504]);

/** For the error where it does not come; no address in it. */
function replyTo(line: string): string {
  return `its reply to ${line.split(' ', 1)[0] ?? ''}`;
}

function expect(reply: Reply, code: number, what: string): Reply {
  if (reply.code !== code) throw new SmtpRefused(`it refused ${what}`, reply);
  return reply;
}

async function handshake(raw: Socket, { judge, ...options }: SmtpTls, signal: AbortSignal): Promise<Socket> {
  const secure = connectTls({ ...options, socket: raw });
  try {
    await once(secure, 'secureConnect', { signal });
    judge?.(secure);
  } catch (error) {
    secure.destroy();
    if (signal.aborted) throw reasonOf(signal);
    throw new TlsRefused(tlsTrouble(error));
  }
  return secure;
}

/** OpenSSL has the file and line of its source in its messages; `reason` is the part for people. */
function tlsTrouble(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
}

/** `EHLO`'s answer (RFC 5321 4.1.1.1): its first line is a greeting. */
function extensionsOf({ lines }: Reply): ReadonlyMap<string, string> {
  const entries = lines.slice(1).map((line) => {
    const [keyword = '', ...parameters] = line.trim().split(/ +/);
    return [keyword.toUpperCase(), parameters.join(' ')] as const;
  });
  return new Map(entries);
}
