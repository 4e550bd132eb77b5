import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import type { AddressList } from '../limits/address-list.ts';
import type { Admission } from '../limits/admission.ts';
import { openTcpPort } from '../limits/tcp-port.ts';
import type { Events } from '../observe/events.ts';
import { createConnections } from './connections.ts';
import type { Listener } from './listener.ts';
import { originForm } from './request-target.ts';

export interface HttpParts {
  readonly host: string;
  /** 0 binds any free port. */
  readonly port: number;
  /** Whose connections begin with a PROXY header. */
  readonly proxies?: AddressList;
  /** Where a request is sent that names none of `names`. */
  readonly domain: string;
  /** Hosts that keep their name when they are redirected, such as `www.` of the domain. */
  readonly names: ReadonlySet<string>;
  /** Where HTTPS is, undefined where it is nowhere. */
  readonly httpsPort: number | undefined;
  /** The key authorization of a token (RFC 8555 8.3), where such a challenge is under way. */
  readonly httpChallenge: (token: string) => string | undefined;
  readonly admission: Admission;
  readonly events: Events;
  readonly clock: Clock;
}

/** RFC 8555 8.3: base64url. */
const CHALLENGE = /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]{1,256})$/;
/** Of a request; the longest that a client of ours sends is below 1 KB. */
export const MAX_HEADER = 8192;

/** Port 80: answers the certificate authority, and sends everybody else to HTTPS. Rejects when it cannot be bound. */
export async function createHttp(parts: HttpParts): Promise<Listener> {
  const connections = createConnections({ ...parts, service: 'http' });
  const http = createHttpServer({ maxHeaderSize: MAX_HEADER, keepAlive: true }, (request, response) => {
    connections.request(request.socket, request, response);
    answer(request, response);
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    // A body has no use here, and is not waited for.
    response.setHeader('connection', 'close');
    const target = originForm(request.url ?? '/');
    const token = CHALLENGE.exec(target)?.[1];
    const proof = token === undefined ? undefined : parts.httpChallenge(token);
    if (proof !== undefined) {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': proof.length });
      response.end(proof);
      return;
    }
    if (token !== undefined || parts.httpsPort === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n');
      return;
    }
    // 301 lets a client turn POST into GET (RFC 9110 15.4.2), 308 does not.
    const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308;
    response.writeHead(status, { location: `https://${hostOf(request)}${target}` }).end();
  }

  /** A Host that is not ours is not repeated: caches would keep a redirect to a stranger's site. */
  function hostOf({ headers }: IncomingMessage): string {
    const asked = headers.host?.replace(/:\d*$/, '').toLowerCase() ?? '';
    const host = parts.names.has(asked) ? asked : parts.domain;
    return parts.httpsPort === 443 ? host : `${host}:${parts.httpsPort}`;
  }

  const tcp = await openTcpPort({
    ...parts,
    service: 'http',
    keepAlive: false,
    take(socket, peer) {
      if (connections.admit(socket, peer)) http.emit('connection', socket);
    },
  });

  return {
    port: tcp.port,
    async [Symbol.asyncDispose]() {
      const closed = tcp.close();
      connections.destroyAll();
      await closed;
    },
  };
}
