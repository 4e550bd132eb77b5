import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { ClientRequest, ClientRequestArgs, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Consignment } from './consignment.ts';
import { deadline, reasonOf } from './deadline.ts';
import type { Dial } from './dialler.ts';
import { stuffDots, stuffedLength } from './dot-stuffing.ts';
import { parseReply } from './reply.ts';
import type { Reply } from './reply.ts';
import type { Target } from './target.ts';

/** relay.md 3: recipients in one request; nginx's and ours have room for their header lines. */
export const MAX_RECIPIENTS = 100;
/** Until a connection with TLS stands: who does not answer on 443 by then does not. */
export const CONNECT_TIME = 10 * second;
/** The request and its answer; upstream waits as long for each of its steps. */
export const POST_TIME = 5 * minute;
/** How long a connection waits for more; what the server says of its own patience counts if it is less. */
const IDLE_TIME = minute;
/** Connections that wait, of one host and in all. */
export const MAX_IDLE_PER_HOST = 4;
export const MAX_IDLE = 200;
/** Of an answer's body: a reply of SMTP. */
const MAX_ANSWER = 16 * 1024;

/**
 * `taken`: all recipients have it. `reply`: the server's refusal. `too-big`: of this message alone. `absent`: there is no
 * /mxdeliv, and nothing was taken. `stale`: the connection was closed before, nothing was looked at. `unknown`: it
 * broke when the message may have been taken.
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
  /** Whether a connection waits. */
  isOpen(target: Target): boolean;
  /** Opens a connection, with TLS. Rejects where there is none within CONNECT_TIME. */
  open(target: Target, signal: AbortSignal): Promise<Socket>;
  /** Posts, on a connection that waits or on `opened`, which is its from now on. At most MAX_RECIPIENTS. Never rejects. */
  post(
    target: Target,
    consignment: Consignment,
    opened: Socket | undefined,
    signal: AbortSignal,
  ): Promise<Posted>;
}

export function createMxdeliv({ dial, clock }: MxdelivParts): Mxdeliv {
  const agent = new HandedAgent({
    keepAlive: true,
    maxFreeSockets: MAX_IDLE_PER_HOST,
    timeout: IDLE_TIME,
    scheduling: 'lifo',
  });

  const post = async (
    target: Target,
    { sender, recipients, message }: Consignment,
    opened: Socket | undefined,
    signal: AbortSignal,
  ): Promise<Posted> => {
    // Node would wait for it for ever.
    if (opened?.destroyed) return { kind: 'stale' };
    using time = deadline(clock, POST_TIME, 'the request', signal);
    let sent: ClientRequest;
    try {
      sent = request({
        agent,
        host: target.host,
        port: 443,
        // So that it is not in the Host field.
        defaultPort: 443,
        method: 'POST',
        path: '/mxdeliv',
        signal: time.signal,
        headers: {
          'content-length': stuffedLength(message),
          // Absent for the null sender.
          ...(sender === '' ? {} : { 'x-mail-from': sender }),
          'x-mail-to': [...recipients],
        },
        [KEY]: target.https.key,
        [OPENED]: opened,
      } as ClientRequestArgs);
    } catch (error) {
      opened?.destroy();
      // Another try took the one that waited.
      return error instanceof NoneWaits ? { kind: 'stale' } : { kind: 'absent' };
    }
    // The agent takes one that waits first.
    sent.once('socket', (socket) => {
      if (socket !== opened) opened?.destroy();
    });
    const posted = new Promise<Posted>((resolve) => {
      sent.on('response', (answer) => resolve(readAnswer(answer, time.signal)));
      sent.on('error', (error) => resolve(whatBroke(sent, error, time.signal)));
    });
    void feed(sent, message);
    const result = await posted;
    // What the server did not want to hear to its end.
    if (!sent.writableFinished) sent.destroy();
    return result;
  };

  return {
    isOpen: (target) => agent.isFree(target),
    async open({ host, https }, signal) {
      using time = deadline(clock, CONNECT_TIME, 'connecting to 443', signal);
      const raw = await dial(host, 443, time.signal);
      raw.on('error', () => raw.destroy());
      const secure = connectTls({ ...https.tls, socket: raw, ALPNProtocols: ['http/1.1'] });
      try {
        await once(secure, 'secureConnect', { signal: time.signal });
      } catch (error) {
        secure.destroy();
        raw.destroy();
        throw error;
      }
      // Until a request has it.
      secure.on('error', () => secure.destroy());
      return secure;
    },
    post,
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** Writes the message as fast as it is taken, until there is an answer. */
async function feed(sent: ClientRequest, message: Buffer): Promise<void> {
  let wake = () => {};
  let over = false;
  const end = () => {
    over = true;
    wake();
  };
  sent.on('drain', () => wake());
  sent.on('response', end);
  sent.on('close', end);
  for (const chunk of stuffDots(message)) {
    if (over) return;
    if (!sent.write(chunk)) await new Promise<void>((resolve) => (wake = resolve));
  }
  if (!over) sent.end();
}

/** No answer came. */
function whatBroke(sent: ClientRequest, error: NodeJS.ErrnoException, time: AbortSignal): Posted {
  // The server had ended the connection while it waited: it has not looked at the request.
  if (sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) return { kind: 'stale' };
  // Half a message is none.
  if (!sent.writableFinished) return { kind: 'absent' };
  return { kind: 'unknown', reason: time.aborted ? reasonOf(time).message : error.message };
}

const KEY = Symbol('key');
const OPENED = Symbol('opened');
type HandedOptions = ClientRequestArgs & { [KEY]?: string; [OPENED]?: Socket };

class NoneWaits extends Error {}

/** Connections are opened by us, raced against port 25, and handed over with the request. */
class HandedAgent extends Agent {
  override createConnection(options: HandedOptions): Socket {
    const opened = options[OPENED];
    if (!opened) throw new NoneWaits();
    return opened;
  }

  override getName(options: HandedOptions = {}): string {
    return options[KEY] ?? '';
  }

  isFree({ https: { key } }: Target): boolean {
    return (this.freeSockets[key] ?? []).some((socket) => !socket.destroyed);
  }

  /** Node's own bound over all hosts would count those in use as well, and make requests wait for it. */
  override keepSocketAlive(socket: Socket): boolean {
    const waiting = Object.values(this.freeSockets).reduce((sum, list) => sum + (list?.length ?? 0), 0);
    // The types do not know that it answers.
    return waiting < MAX_IDLE && (super.keepSocketAlive(socket) as unknown as boolean);
  }
}

async function readAnswer(answer: IncomingMessage, time: AbortSignal): Promise<Posted> {
  let text = '';
  let broken: Error | undefined;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1');
      if (text.length > MAX_ANSWER) break;
    }
  } catch (error) {
    broken = error as Error;
  }
  const { statusCode } = answer;
  if (statusCode === 200) {
    if (SAYS_OK.test(text)) return { kind: 'taken' };
    if (broken) return { kind: 'unknown', reason: time.aborted ? reasonOf(time).message : broken.message };
  }
  if (statusCode === 413) return { kind: 'too-big' };
  const reply = statusCode === 400 && !broken ? parseReply(text) : undefined;
  return reply && reply.code >= 400 ? { kind: 'reply', reply } : { kind: 'absent' };
}

/** Upstream's and ours is `250 OK`, madmail's is `OK`; a web site that has a page for every path says something else. */
const SAYS_OK = /^\s*(?:2\d\d|OK)\b/i;
