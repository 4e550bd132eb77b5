import { request as requestHttp } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import { minute, second } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Admission } from '../limits/admission.ts';
import type { Events } from '../observe/events.ts';

/** What an iroh relay answers (relay.md 8): its connections, the probe of a client, and the look for a captive portal. */
export const IROH_PATHS = ['/relay', '/ping', '/generate_204'] as const;

export interface IrohParts {
  /** iroh_upstream: where the iroh relay listens. */
  readonly upstream: URL;
  /** Of connections that were upgraded; they last for as long as an app in a chat is open. */
  readonly admission: Admission;
  readonly clock: Clock;
  readonly events: Pick<Events, 'irohUnavailable'>;
}

/** Passes requests on to an iroh relay. Nothing of a client but its request goes there: no address. */
export interface Iroh extends Disposable {
  /** Whether a request is for the iroh relay. */
  wants(target: string): boolean;
  /** Passes a request and its answer. */
  request(request: IncomingMessage, response: ServerResponse): void;
  /** Passes a request for an upgrade; when the relay agrees, bytes both ways until one side ends. */
  upgrade(request: IncomingMessage, client: Duplex, head: Buffer): void;
}

/** How long the relay may take to answer. */
export const ANSWER_TIME = 10 * second;
/** An iroh relay and its clients ping each other every 15 seconds. */
export const SILENCE = 5 * minute;
/** What a request may carry; all that there are have no body. */
const MAX_BODY = 64 * 1024;
/** How often it is said that the relay is away. */
const TELL_EVERY = minute;

/** RFC 9110 7.6.1: they are of one connection, not of the request. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
]);

export function createIroh({ upstream, admission, clock, events }: IrohParts): Iroh {
  const open = new Set<Duplex>();
  const send = upstream.protocol === 'https:' ? requestHttps : requestHttp;
  let told = -Infinity;

  function away(reason: string): void {
    if (clock.now() - told < TELL_EVERY) return;
    told = clock.now();
    events.irohUnavailable(reason);
  }

  function ask(request: IncomingMessage, more: Record<string, string>): ClientRequest {
    return send({
      hostname: upstream.hostname.replace(/^\[|\]$/g, ''),
      port: upstream.port === '' ? undefined : upstream.port,
      method: request.method,
      path: request.url,
      headers: { ...endToEnd(request.headers), ...more },
      // Each its own connection: an upgraded one is never given back.
      agent: false,
    });
  }

  /** Ends the question when the answer does not come in time; dispose of it when it has come. */
  const answerTime = (question: ClientRequest): Timer =>
    clock.after(ANSWER_TIME, () => question.destroy(new Error('no answer in time')));

  return {
    wants: (target) => IROH_PATHS.some((path) => target === path || target.startsWith(`${path}?`)),

    request(request, response) {
      const question = ask(request, {});
      const timer = answerTime(question);
      question.on('response', (answer) => {
        timer[Symbol.dispose]();
        response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
        answer.on('error', () => response.destroy());
        answer.pipe(response);
      });
      question.on('error', (error) => {
        timer[Symbol.dispose]();
        away(error.message);
        if (response.headersSent) response.destroy();
        else response.writeHead(502, { 'content-type': 'text/plain' }).end('The iroh relay is away\n');
      });
      response.once('close', () => question.destroy());
      let size = 0;
      request.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BODY) request.destroy();
      });
      request.pipe(question);
    },

    upgrade(request, client, head) {
      // A reset of either side ends both; there is nobody to tell.
      client.on('error', () => client.destroy());
      const release = admission.admit(request.socket.remoteAddress ?? '');
      if (release === undefined) return refuse(client, '503 Service Unavailable');
      open.add(client);
      const question = ask(request, { connection: 'Upgrade', upgrade: request.headers.upgrade ?? '' });
      const timer = answerTime(question);
      client.once('close', () => {
        open.delete(client);
        release();
        question.destroy();
      });
      question.on('upgrade', (answer, relay, first) => {
        timer[Symbol.dispose]();
        relay.setTimeout(SILENCE, () => relay.destroy());
        relay.on('error', () => client.destroy());
        relay.once('close', () => client.destroy());
        client.once('close', () => relay.destroy());
        client.write(`HTTP/1.1 101 Switching Protocols\r\n${rawLines(answer.rawHeaders)}\r\n`);
        client.write(first);
        relay.write(head);
        client.pipe(relay);
        relay.pipe(client);
      });
      question.on('response', (answer) => {
        timer[Symbol.dispose]();
        answer.resume();
        refuse(client, `${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}`);
      });
      question.on('error', (error) => {
        timer[Symbol.dispose]();
        if (client.destroyed) return;
        away(error.message);
        refuse(client, '502 Bad Gateway');
      });
      question.end();
    },

    [Symbol.dispose]: () => {
      for (const client of open) client.destroy();
    },
  };
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !name.startsWith(':')),
  );
}

/** As they came: WebSocket's Sec- fields belong to the handshake. */
function rawLines(raw: readonly string[]): string {
  let lines = '';
  for (let at = 0; at + 1 < raw.length; at += 2) lines += `${raw[at]}: ${raw[at + 1]}\r\n`;
  return lines;
}

function refuse(client: Duplex, status: string): void {
  client.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
