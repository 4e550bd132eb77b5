import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect, isIPv6 } from 'node:net';
import type { Clock, Random } from '../clock.ts';
import { encodeQuestion, isAskable, readReply } from './question.ts';
import type { AskedType, Question, Reply, ValidatedAnswer } from './question.ts';
import { DnsTrouble } from './resolver.ts';

/** Questions to a resolver that checks DNSSEC, and says whether it did: node:dns does not pass that on. */
export interface ValidatingLookup {
  /**
   * What the resolver says of `name` (lower case). No server, none that answers in time, SERVFAIL, and an abort of
   * `signal` are DnsTrouble; it rejects with nothing else. Each call is a question: nothing is kept.
   */
  ask(name: string, type: AskedType, signal: AbortSignal): Promise<ValidatedAnswer>;
}

export interface ValidatingLookupOptions {
  /** `address:port`, IPv6 in brackets, or a bare address. Those of the system when left out. */
  readonly servers?: readonly string[];
  /** Milliseconds until a question is DnsTrouble, over all servers and tries. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Each server is asked twice, as packets get lost, and waited for twice as long the second time. */
const ROUNDS = [1, 2] as const;
const WAITS_PER_SERVER = 3;
const DNS_PORT = 53;
/** RFC 1035 4.2.2: the length stands in two bytes. */
const MAX_MESSAGE = 0xffff;

export function createValidatingLookup(options: ValidatingLookupOptions): ValidatingLookup {
  const { timeoutMs, clock, random } = options;
  const servers = (options.servers ?? getServers()).map(placeOf);
  const wait = Math.max(1, Math.floor(timeoutMs / (WAITS_PER_SERVER * Math.max(1, servers.length))));

  return {
    async ask(name, type, signal) {
      if (!isAskable(name)) return NOTHING;
      const what = `${name} ${type}`;
      let trouble = 'there is no server to ask';
      /** One says SERVFAIL, as of forged data: another one that does not check must not be believed then. */
      let doubtful = false;
      for (const round of ROUNDS) {
        for (const server of servers) {
          if (signal.aborted) throw new DnsTrouble(`${what}: broken off`);
          const question = { id: random(2).readUInt16BE(), name, type };
          const reply = await askOnce(question, server, round * wait, clock, signal).catch(
            (error: Error) => ({
              kind: 'silence' as const,
              code: error.message,
            }),
          );
          if (reply.kind === 'answer' && (reply.answer.authentic || !doubtful)) return reply.answer;
          if ('code' in reply) trouble = reply.code;
          if (trouble === 'SERVFAIL') doubtful = true;
        }
        // Asking again will not help.
        if (doubtful) break;
      }
      throw new DnsTrouble(`${what}: ${trouble}`);
    },
  };
}

/** What cannot be asked for. */
const NOTHING: ValidatedAnswer = { authentic: false, name: '', exists: false, tlsa: [], ttl: undefined };

interface Place {
  readonly host: string;
  readonly port: number;
}

/** As node:dns writes them. */
function placeOf(server: string): Place {
  const [, bracketed, bare, port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(server) ?? [];
  return { host: bracketed ?? bare ?? server, port: port === undefined ? DNS_PORT : Number(port) };
}

/** UDP, and TCP where the answer does not fit (RFC 1035 4.2.1, RFC 7766 5). Rejects after `ms`. */
async function askOnce(question: Question, server: Place, ms: number, clock: Clock, signal: AbortSignal) {
  const ended = new AbortController();
  const end = () => ended.abort();
  using _timer = clock.after(ms, end);
  signal.addEventListener('abort', end);
  try {
    const reply = await overUdp(question, server, ended.signal);
    if (reply.kind !== 'again') return reply;
    return await overTcp(question, server, ended.signal);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** From a port of its own for every question, and to one server: others' packets do not reach it. */
function overUdp(question: Question, { host, port }: Place, signal: AbortSignal): Promise<Reply> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const asked = new Promise<Reply>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('no answer')), { once: true });
    socket.on('error', reject);
    socket.on('message', (bytes) => {
      const reply = readReply(bytes, question);
      // What does not fit is not from the server, or is late: the right one may yet come.
      if (reply) resolve(reply);
    });
    // With a callback the error comes there and not as an event, and who sends all the same ends the process.
    socket.connect(port, host, (error?: Error) => {
      if (error) reject(error);
      else if (!signal.aborted) socket.send(encodeQuestion(question));
    });
  });
  return asked.finally(() => socket.close());
}

function overTcp(question: Question, { host, port }: Place, signal: AbortSignal): Promise<Reply> {
  const socket = connect({ host, port });
  const asked = new Promise<Reply>((resolve, reject) => {
    const fail = () => reject(new Error('no answer'));
    if (signal.aborted) return fail();
    signal.addEventListener('abort', fail, { once: true });
    let waiting = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('close', fail);
    socket.on('data', (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      if (waiting.length < 2 || waiting.length < 2 + waiting.readUInt16BE(0)) return;
      const reply = readReply(waiting.subarray(2, 2 + waiting.readUInt16BE(0)), question);
      if (reply && reply.kind !== 'again') resolve(reply);
      else reject(new Error('an answer to something else'));
    });
    const bytes = encodeQuestion(question);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(Math.min(bytes.length, MAX_MESSAGE));
    socket.write(Buffer.concat([length, bytes]));
  });
  return asked.finally(() => socket.destroy());
}
