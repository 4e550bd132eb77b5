import { constants } from 'node:crypto';
import type { Server } from 'node:http';
import type { Http2Server, Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { AddressList } from '../limits/address-list.ts';
import type { Admission } from '../limits/admission.ts';
import { openTcpPort } from '../limits/tcp-port.ts';
import type { Events } from '../observe/events.ts';
import type { Certificate, KeyPair } from '../tls/certificate.ts';
import { readClientHello } from './client-hello.ts';
import type { ClientHello } from './client-hello.ts';
import { createConnections } from './connections.ts';
import type { Place } from './connections.ts';
import type { Listener } from './listener.ts';

/** Serves a connection whose TLS is done; `peer` is the client's network address. */
export interface TakesTls {
  serve(socket: TLSSocket, peer: string): void;
}

export interface HttpsParts {
  readonly host: string;
  /** 0 binds any free port. */
  readonly port: number;
  /** Whose connections begin with a PROXY header. */
  readonly proxies?: AddressList;
  readonly certificate: Certificate;
  /** Neither listens itself: they get the connections that want HTTP. */
  readonly web: { readonly http1: Server; readonly http2: Http2Server };
  /** Gets what chose `imap`. */
  readonly imap: TakesTls;
  /** Gets what chose `smtp`; submission, for users (client.md 1.8). */
  readonly smtp: TakesTls;
  /** The certificate that answers a TLS-ALPN-01 challenge for this name (RFC 8737), where one is under way. */
  readonly alpnChallenge: (serverName: string) => Promise<KeyPair | undefined>;
  readonly admission: Admission;
  readonly events: Events;
  readonly clock: Clock;
}

/** A ClientHello is 250 bytes to 2 KB (post-quantum keys); who sends it byte by byte must not cost us much. */
const MAX_HELLO = 8192;

type Destination = 'web' | 'imap' | 'smtp' | 'challenge';

/**
 * Port 443: HTTPS, IMAP and submission, told apart by what the client offers in ALPN. The ClientHello is read before
 * TLS answers, because OpenSSL asks for the certificate before it looks at ALPN, and mail needs TLS 1.3 where the web
 * does with 1.2. Rejects when the port cannot be bound.
 */
export async function createHttps(parts: HttpsParts): Promise<Listener> {
  const { certificate, web, events } = parts;
  const connections = createConnections({ ...parts, service: 'https' });
  /** By what http knows, a TLS socket or a session of HTTP/2, the connection that was admitted. */
  const rawOf = new WeakMap<Socket | Http2Session, Socket>();
  const placeOf = new WeakMap<Socket, Place>();
  let contexts = contextsOf(certificate.pair);
  const stopFollowing = certificate.onReplace((pair) => {
    contexts = contextsOf(pair);
  });

  web.http1.on('request', (request, response) => {
    const raw = rawOf.get(request.socket);
    if (raw) connections.request(raw, request, response);
  });
  // It lasts for as long as both sides want, and iroh.ts has limits of its own.
  web.http1.on('upgrade', (_request, socket: Socket) => placeOf.get(socket)?.leave());
  web.http2.on('request', (request, response) => {
    const raw = request.stream.session && rawOf.get(request.stream.session);
    if (raw) connections.request(raw, request, response);
  });
  web.http2.on('sessionError', (error) => events.sessionFailed('https', '-', error));

  function accept(socket: Socket, peer: string): void {
    const place = connections.admit(socket, peer);
    if (!place) return;
    readHello(socket, (hello) => {
      secure(socket, peer, place, hello).catch((error: unknown) => {
        events.fault('https', error);
        socket.destroy();
      });
    });
  }

  async function secure(socket: Socket, peer: string, place: Place, hello: ClientHello): Promise<void> {
    const to = destinationOf(hello.protocols);
    const chosen = to === 'challenge' ? await contextOfChallenge(hello) : contextFor(to);
    if (!chosen) return void socket.destroy();
    // A client that offers protocols of which we have none gets no_application_protocol (RFC 7301 3.2) from OpenSSL.
    const tls = new TLSSocket(socket, { isServer: true, ...chosen });
    tls.on('error', (error: Error) => {
      events.sessionFailed('https', '-', error);
      socket.destroy();
    });
    socket.once('close', () => tls.destroy());
    tls.once('secure', () => {
      if (to === 'challenge') return void tls.end();
      if (to === 'web') {
        // Routes ask the socket who is there, and it may know a proxy alone.
        Object.defineProperty(tls, 'remoteAddress', { value: peer });
        if (tls.alpnProtocol === 'h2') {
          // Emitted while the connection is handed over, before anything is read of it.
          web.http2.once('session', (session) => rawOf.set(session, socket));
          web.http2.emit('connection', tls);
          // It waits for this event of a socket whose TLS no tls.Server has done.
          tls.emit('secureConnect');
          return;
        }
        rawOf.set(tls, socket);
        placeOf.set(tls, place);
        web.http1.emit('connection', tls);
        return;
      }
      // Mail counts its own connections and has limits of its own.
      place.leave();
      parts[to].serve(tls, peer);
    });
  }

  const contextFor = (to: Exclude<Destination, 'challenge'>) =>
    to === 'web'
      ? { secureContext: contexts.web, ALPNProtocols: ['h2', 'http/1.1'] }
      : { secureContext: contexts.mail, ALPNProtocols: [to] };

  const contextOfChallenge = async ({ serverName }: ClientHello) => {
    const pair = serverName === undefined ? undefined : await parts.alpnChallenge(serverName);
    return pair && { secureContext: contextsOf(pair).web, ALPNProtocols: [ACME_TLS] };
  };

  const tcp = await openTcpPort({ ...parts, service: 'https', keepAlive: true, take: accept }).catch(
    (error: unknown) => {
      stopFollowing();
      throw error;
    },
  );

  return {
    port: tcp.port,
    async [Symbol.asyncDispose]() {
      stopFollowing();
      // Not waited for: it ends with the last connection, and mail that came here is disposed of with its own listener.
      void tcp.close();
      connections.destroyAll();
    },
  };
}

const ACME_TLS = 'acme-tls/1';

/** HTTPS where nothing is offered, or nothing that we know. */
function destinationOf(protocols: readonly string[]): Destination {
  if (protocols.includes(ACME_TLS)) return 'challenge';
  if (protocols.includes('h2') || protocols.includes('http/1.1')) return 'web';
  if (protocols.includes('imap')) return 'imap';
  if (protocols.includes('smtp')) return 'smtp';
  return 'web';
}

/** Browsers of 2013 on speak TLS 1.2; all mail clients of ours speak 1.3 (client.md 1.8). */
function contextsOf({ key, cert }: KeyPair): { web: SecureContext; mail: SecureContext } {
  // TLS 1.2 lets a client ask for new handshakes for ever, which cost us more than the client.
  const options = { key, cert, secureOptions: constants.SSL_OP_NO_RENEGOTIATION, honorCipherOrder: true };
  return {
    web: createSecureContext({ ...options, minVersion: 'TLSv1.2' }),
    mail: createSecureContext({ ...options, minVersion: 'TLSv1.3' }),
  };
}

/** Reads as far as the ClientHello goes and puts all of it back. Whoever sends something else is cut off. */
function readHello(socket: Socket, done: (hello: ClientHello) => void): void {
  let seen = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
    const hello = readClientHello(seen);
    if (hello === 'invalid' || (hello === 'incomplete' && seen.length > MAX_HELLO)) {
      socket.destroy();
      return;
    }
    if (hello === 'incomplete') return;
    socket.off('data', onData);
    socket.pause();
    socket.unshift(seen);
    done(hello);
  };
  socket.on('data', onData);
}
