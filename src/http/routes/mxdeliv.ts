import type { IncomingMessage } from 'node:http';
import { constants } from 'node:http2';
import type { Http2ServerRequest } from 'node:http2';
import { minute } from '../../clock.ts';
import type { Clock, Random } from '../../clock.ts';
import { refuse } from '../../errors.ts';
import type { Refusal } from '../../errors.ts';
import type { Admission } from '../../limits/admission.ts';
import type { SharedByteBudget } from '../../limits/byte-budget.ts';
import { receiveMessage } from '../../mailflow/incoming-message.ts';
import type { TakeMessage } from '../../mailflow/verdict.ts';
import { parseMailbox } from '../../message/address.ts';
import type { Events } from '../../observe/events.ts';
import type { WebApp } from '../web-app.ts';

export interface MxdelivParts {
  /** The walk of port 25. */
  readonly take: TakeMessage;
  /** Whether mail for this address is ours to take; one that nobody has counts as well. */
  readonly isLocal: (address: string) => boolean;
  /** max_message_size. */
  readonly maxMessageSize: number;
  /** The one of port 25: strangers by either way share it. */
  readonly byteBudget: SharedByteBudget;
  /** Requests at once: one connection of HTTP/2 brings many. */
  readonly admission: Admission;
  readonly events: Pick<Events, 'messageRefused' | 'fault'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** As on port 25 (RFC 5321 4.5.3.1.8). */
const MAX_RECIPIENTS = 1000;
/** From the request's header to the last byte of its body. Upstream's sender gives up after one (relay.md 3). */
export const BODY_TIME = 2 * minute;

/** Upstream's texts to the letter (chatmail/relay, filtermail/src/http_server.rs). */
const OK = '250 OK';
const TOO_BIG = '552 Message exceeds maximum size';
const WRONG_METHOD = 'Method Not Allowed';

/**
 * `POST /mxdeliv`, mail from other relays by HTTPS: the envelope in `X-MAIL-FROM` (none for the null sender) and one
 * `X-MAIL-TO` for each recipient; the body is the text of SMTP's DATA, dots stuffed, without the dot that ends it (which
 * is taken as well). The rules are those of port 25 by the same code. 200 says that the message is on disk for everybody; every
 * refusal, for now or for ever, is a 400 that holds a reply of SMTP, but for the one of size, a 413.
 */
export function mxdelivRoutes(app: WebApp, parts: MxdelivParts): void {
  const { events, admission } = parts;
  /** Messages that are being judged and stored. */
  const taking = new Set<Promise<unknown>>();
  app.addHook('onClose', async () => void (await Promise.allSettled(taking)));

  void app.register(async (scope: WebApp) => {
    // The body is read below, as it comes; whatever the type says, it is mail, and fastify refuses a type it cannot read.
    scope.addHook('onRequest', async ({ raw }) => void delete raw.headers['content-type']);
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _body, done) => done(null));

    // Upstream's nginx has whatever begins so.
    for (const url of ['/mxdeliv', '/mxdeliv/*'])
      scope.all(url, async (request, reply) => {
        reply.type('text/plain; charset=utf-8');
        if (request.method !== 'POST') return reply.code(405).header('allow', 'POST').send(WRONG_METHOD);
        const peer = request.socket.remoteAddress ?? '';
        const session = `mxdeliv-${parts.random(6).toString('hex')}`;
        const leave = admission.admit(peer);
        const outcome =
          leave === undefined
            ? refuse('too_many_connections', 'too many requests at once')
            : await deliver(request.raw, peer, session).finally(leave);
        if (outcome === 'gone') return reply.hijack();
        if (outcome === 'ok') return reply.code(200).send(OK);
        events.messageRefused('incoming', session, outcome);
        callOffBody(request.raw);
        return outcome.code === 'message_too_big'
          ? reply.code(413).send(TOO_BIG)
          : reply.code(400).send(outcome.reply);
      });
  });

  /** `gone`: whoever sent it does not listen any more. Events tell of what `take` refuses. */
  async function deliver(
    request: IncomingMessage,
    peer: string,
    session: string,
  ): Promise<'ok' | 'gone' | Refusal> {
    const envelope = readEnvelope(request.rawHeaders);
    if ('code' in envelope) return envelope;
    const elsewhere = envelope.recipients.find((recipient) => !parts.isLocal(recipient));
    if (elsewhere !== undefined)
      return refuse('relay_denied', 'recipient elsewhere', { recipient: elsewhere });

    const message = receiveMessage({ maxSize: parts.maxMessageSize, budget: parts.byteBudget.of(peer) });
    try {
      const text = await readBody(request, message);
      if (text === 'gone') return 'gone';
      if (!Buffer.isBuffer(text)) return text;
      const taken = parts.take({ ...envelope, peer, session }, text);
      taking.add(taken);
      const verdict = await taken.finally(() => taking.delete(taken));
      return verdict.accepted ? 'ok' : verdict.refusal;
    } catch (error) {
      events.fault('mxdeliv', error);
      return refuse('internal', 'fault while taking a message');
    } finally {
      message.release();
    }
  }

  async function readBody(
    request: IncomingMessage,
    message: ReturnType<typeof receiveMessage>,
  ): Promise<Buffer | Refusal | 'gone'> {
    // Known before a byte of it is read. Lines of one dot each grow the most by stuffing, from three bytes to four.
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > (4 / 3) * parts.maxMessageSize + END.length)
      return refuse('message_too_big', 'as announced');
    const timer = parts.clock.after(BODY_TIME, () => request.destroy());
    let last = LF;
    let ended = false;
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        // Text behind the lone dot would be a second message to some (RFC 5321 4.1.1.4).
        if (ended) return refuse('line_endings', 'text behind the dot');
        const used = message.push(chunk);
        if (message.problem !== undefined) return message.problem;
        ended = used >= 0;
        if (ended && used < chunk.length) return refuse('line_endings', 'text behind the dot');
        last = chunk.at(-1) ?? last;
      }
    } catch {
      return 'gone';
    } finally {
      timer[Symbol.dispose]();
    }
    if (!isWhole(request)) return 'gone';
    // The end that port 25 sees, and here the end of the body stands for.
    if (!ended) message.push(Buffer.from(last === LF ? END : `\r\n${END}`));
    return message.outcome();
  }
}

const LF = 0x0a;
/** The dot that ends DATA (RFC 5321 4.1.1.4). */
const END = '.\r\n';

/** Whether the other side has said that the body ends here: half a message must never count as one. */
function isWhole(request: IncomingMessage | Http2ServerRequest): boolean {
  return 'stream' in request ? !request.aborted && !request.stream.destroyed : request.complete;
}

/** An answer that comes before the body has ended: in HTTP/2 the rest is called off (RFC 9113 8.1), in HTTP/1.1 node drops it. */
function callOffBody(request: IncomingMessage | Http2ServerRequest): void {
  if (!('stream' in request)) return;
  const { stream } = request;
  // The stream's own event: that of the response waits for the end of the request.
  stream.once('finish', () => {
    if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

/** `rawHeaders`, since node joins what comes several times. Addresses with or without angle brackets. */
function readEnvelope(
  rawHeaders: readonly string[],
): Refusal | { readonly sender: string; readonly recipients: readonly string[] } {
  const valuesOf = (name: string) =>
    rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
  const senders = valuesOf('x-mail-from').map(bare);
  const sender = senders[0] ?? '';
  if (senders.length > 1 || (sender !== '' && parseMailbox(sender) === undefined))
    return refuse('sender_syntax', 'X-MAIL-FROM');
  const recipients = valuesOf('x-mail-to').map(bare);
  if (recipients.length === 0) return refuse('no_valid_recipients', 'no X-MAIL-TO');
  if (recipients.some((recipient) => parseMailbox(recipient) === undefined))
    return refuse('recipient_syntax', 'X-MAIL-TO');
  // One named twice counts once, as on port 25.
  const each = new Map(recipients.map((recipient) => [recipient.toLowerCase(), recipient]));
  if (each.size > MAX_RECIPIENTS) return refuse('too_many_recipients', `${each.size} recipients`);
  return { sender, recipients: [...each.values()] };
}

function bare(address: string): string {
  return /^<(.*)>$/.exec(address)?.[1] ?? address;
}
