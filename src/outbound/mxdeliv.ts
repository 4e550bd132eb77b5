import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { ClientRequestArgs, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Consignment } from './consignment.ts';
import { deadline } from './deadline.ts';
import type { Dial } from './dialler.ts';
import { stuffDots, stuffedLength } from './dot-stuffing.ts';
import { parseReply } from './reply.ts';
import type { Reply } from './reply.ts';

/** relay.md 3: recipients in one request; nginx's and ours have room for their header lines. */
export const MAX_RECIPIENTS = 100;
/** Until a connection with TLS stands: who does not answer on 443 by then does not. */
export const CONNECT_TIME = 10 * second;
/** The request and its answer; upstream waits as long for each of its steps. */
const POST_TIME = 5 * minute;
/** How long a connection waits for more; what the server says of its own patience counts if it is less. */
const IDLE_TIME = minute;
/** Connections that wait, of one host and in all. */
const MAX_IDLE_PER_HOST = 4;
const MAX_IDLE = 200;
/** Of an answer's body: a reply of SMTP. */
const MAX_ANSWER = 16 * 1024;

/**
 * `taken`: all recipients have it. `reply`: the server's refusal. `too-big`: of this message alone. `absent`: there is no
 * /mxdeliv. `stale`: the connection that waited
 * was closed, nothing was looked at. `unknown`: it broke when the message may have been taken.
 */
export type Posted =
  | { readonly kind: 'taken' | 'too-big' | 'absent' | 'stale' }
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface MxdelivParts {
  readonly dial: Dial;
  readonly clock: Clock;
}

/** Posts to `https://<host>/mxdeliv` (relay.md 3; the protocol is madmail's). */
export interface Mxdeliv extends Disposable {
  /** Whether a connection to the host waits. */
  isOpen(host: string): boolean;
  /** Opens a connection, with TLS. Rejects where there is none within CONNECT_TIME. */
  open(host: string, tls: ConnectionOptions, signal: AbortSignal): Promise<Socket>;
  /** Posts, on a connection that waits or on `opened`. At most MAX_RECIPIENTS. Never rejects. */
  post(
    host: string,
    consignment: Consignment,
    opened: Socket | undefined,
    signal: AbortSignal,
  ): Promise<Posted>;
}

export function createMxdeliv({ dial, clock }: MxdelivParts): Mxdeliv {
  const agent = new HandedAgent({
    keepAlive: true,
    maxFreeSockets: MAX_IDLE_PER_HOST,
    maxTotalSockets: MAX_IDLE * 4,
    timeout: IDLE_TIME,
    scheduling: 'lifo',
  });

  const post = (
    host: string,
    { sender, recipients, message }: Consignment,
    opened: Socket | undefined,
    signal: AbortSignal,
  ): Promise<Posted> =>
    new Promise((resolve) => {
      const time = deadline(clock, POST_TIME, 'the request', signal);
      let isUsed = false;
      const end = (posted: Posted) => {
        time[Symbol.dispose]();
        if (!isUsed) opened?.destroy();
        resolve(posted);
      };
      const sent = request(
        {
          agent,
          host,
          port: 443,
          method: 'POST',
          path: '/mxdeliv',
          signal: time.signal,
          headers: {
            'content-length': stuffedLength(message),
            // Absent for the null sender.
            ...(sender === '' ? {} : { 'x-mail-from': sender }),
            'x-mail-to': [...recipients],
          },
          opened,
        } as ClientRequestArgs,
        (answer) => {
          void readAnswer(answer).then(end, (error: unknown) => end(unknown(error)));
        },
      );
      // One that has come free meanwhile goes before `opened`, which then is nobody's.
      sent.once('socket', (socket) => {
        isUsed = socket === opened;
        if (!isUsed) opened?.destroy();
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // The server had ended the connection while it waited: it has not looked at the request.
        if (sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE'))
          end({ kind: 'stale' });
        else end(unknown(error));
      });
      for (const chunk of stuffDots(message)) sent.write(chunk);
      sent.end();
    });

  return {
    isOpen: (host) => agent.isFree(host),
    async open(host, tls, signal) {
      using time = deadline(clock, CONNECT_TIME, 'connecting to 443', signal);
      const raw = await dial(host, 443, time.signal);
      raw.on('error', () => raw.destroy());
      const secure = connectTls({ ...tls, socket: raw, ALPNProtocols: ['http/1.1'] });
      try {
        await once(secure, 'secureConnect', { signal: time.signal });
      } catch (error) {
        secure.destroy();
        raw.destroy();
        throw error;
      }
      return secure;
    },
    post,
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function unknown(error: unknown): Posted {
  return { kind: 'unknown', reason: error instanceof Error ? error.message : String(error) };
}

/** Connections are opened by us, raced against port 25, and handed over with the request. */
class HandedAgent extends Agent {
  override createConnection(options: ClientRequestArgs & { opened?: Socket }): Socket {
    if (!options.opened) throw new Error('no connection waits');
    return options.opened;
  }

  isFree(host: string): boolean {
    const waiting = this.freeSockets[this.getName({ host, port: 443 })] ?? [];
    return waiting.some((socket) => !socket.destroyed);
  }
}

async function readAnswer(answer: IncomingMessage): Promise<Posted> {
  let text = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1');
    if (text.length > MAX_ANSWER) break;
  }
  const { statusCode } = answer;
  if (statusCode === 200) return { kind: 'taken' };
  if (statusCode === 413) return { kind: 'too-big' };
  const reply = statusCode === 400 ? parseReply(text) : undefined;
  return reply && reply.code >= 400 ? { kind: 'reply', reply } : { kind: 'absent' };
}
