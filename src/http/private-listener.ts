import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { second } from '../clock.ts';
import type { Listener } from './listener.ts';

export interface PrivateAnswer {
  readonly status: number;
  readonly text: string;
  /** Plain text unless given. */
  readonly type?: string;
}

export interface PrivateListenerParts {
  readonly host: string;
  /** 0 binds any free port. */
  readonly port: number;
  /** By path. Each ends by itself within a time that its caller can wait, and never rejects. */
  readonly pages: Readonly<Record<string, () => Promise<PrivateAnswer>>>;
}

/** Who asks more often than this many at once is no supervisor. */
const MAX_CONNECTIONS = 16;
/** From connecting to the end of the request. */
const REQUEST_TIME = 5 * second;

/**
 * A listener for those who run the relay, without TLS and without a password: it belongs on loopback or on a network of
 * one's own. A connection has one request. Rejects when the port cannot be bound.
 */
export async function createPrivateListener({ host, port, pages }: PrivateListenerParts): Promise<Listener> {
  const there = `there is ${Object.keys(pages).join(' and ')}`;
  const answerTo = async (method: string | undefined, target: string): Promise<PrivateAnswer> => {
    const path = target.replace(/\?.*$/s, '');
    const page = pages[path];
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'GET only\n' };
    return page === undefined ? { status: 404, text: `${there}\n` } : page();
  };

  const server = createServer(
    { requestTimeout: REQUEST_TIME, headersTimeout: REQUEST_TIME },
    (request, response) => {
      void answerTo(request.method, request.url ?? '').then(({ status, text, type = 'text/plain' }) => {
        // RFC 9110 15.5.6: a 405 says what is allowed.
        const allow = status === 405 ? { allow: 'GET, HEAD' } : {};
        response.writeHead(status, { 'content-type': type, connection: 'close', ...allow }).end(text);
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, host);
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
