import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import type { SMTPServerOptions } from 'smtp-server';
import { second } from '../clock.ts';
import type { Clock, Random, Timer } from '../clock.ts';
import { refuse } from '../errors.ts';
import type { Admission } from '../limits/admission.ts';
import type { AddressList } from '../limits/address-list.ts';
import type { SharedByteBudget } from '../limits/byte-budget.ts';
import { openTcpPort } from '../limits/tcp-port.ts';
import type { TakeMessage } from '../mailflow/verdict.ts';
import type { Events, Service } from '../observe/events.ts';
import type { Certificate } from '../tls/certificate.ts';
import { Session } from './session.ts';
import type { SessionRules } from './session.ts';

/** A port that serves until it is disposed of. */
export interface Listener extends AsyncDisposable {
  /** The port bound, also when 0 was asked for. */
  readonly port: number;
  /**
   * Serves a connection that another listener accepted. With implicit TLS (443 by ALPN) its handshake must be done and
   * must have brought TLS 1.3. `peer` is the client's network address.
   */
  serve(socket: Socket, peer: string): void;
}

/** What every SMTP listener is made of. */
export interface ListenerParts {
  /** Address to bind. */
  readonly host: string;
  /** 0 binds any free port. */
  readonly port: number;
  /** Whose connections begin with a PROXY header. */
  readonly proxies?: AddressList;
  /** What stands behind the @ of our addresses: named in the greeting (RFC 5321 4.2), and the domain of `<Postmaster>`. */
  readonly domain: string;
  readonly certificate: Certificate;
  readonly take: TakeMessage;
  readonly admission: Admission;
  /** Of which each account has its share, or each peer where nobody logs in. */
  readonly byteBudget: SharedByteBudget;
  /** Bytes, dots unstuffed; announced by SIZE. */
  readonly maxMessageSize: number;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: Random;
}

/** What makes one of them port 25, 465 or 587. */
export interface ListenerKind {
  readonly service: Service;
  readonly implicitTls: boolean;
  readonly minTls: 'TLSv1.2' | 'TLSv1.3';
  readonly rules: SessionRules;
  /** Checks AUTH; without it none is offered and none is required. */
  readonly onAuth?: NonNullable<SMTPServerOptions['onAuth']>;
}

/** A TLS handshake takes three round trips at most; a client that waits for a greeting in the clear waits this long. */
export const HANDSHAKE_TIME = 20 * second;
/** What a message that is coming in when the relay stops may still take. */
export const GRACE_TIME = 5 * second;
/** Connections turned away are logged this often, with their number: a flood must not flood the log. */
const TURNED_AWAY_INTERVAL = 10 * second;
/** Commands before login (EHLO, NOOP, the lines of AUTH LOGIN …); an honest client needs about six. */
const MAX_COMMANDS_BEFORE_LOGIN = 20;

/** Binds the port. Rejects when it cannot be bound. */
export async function createListener(parts: ListenerParts, kind: ListenerKind): Promise<Listener> {
  const { admission, byteBudget, certificate, clock, events } = parts;
  const { service, rules } = kind;
  const sessions = new Set<Session>();
  /** Connections whose TLS handshake is not done. */
  const greeting = new Map<string, { socket: Socket; peer: string; timer: Timer; release: () => void }>();
  const empty = Promise.withResolvers<void>();
  let turnedAway = 0;
  let turnedAwayAt = -Infinity;
  let stopping = false;

  const tlsOptions = () => ({
    key: certificate.pair.key,
    cert: certificate.pair.cert,
    minVersion: kind.minTls,
    honorCipherOrder: true,
    // TLS 1.2 lets a client ask for new handshakes for ever, which cost us more than the client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });

  /** Sessions ask it for options, certificate and AUTH. It never listens: we accept connections ourselves. */
  const server = new SMTPServer({
    ...tlsOptions(),
    secure: kind.implicitTls,
    name: parts.domain,
    heloResponse: '%s',
    size: parts.maxMessageSize,
    hideSMTPUTF8: true,
    hideENHANCEDSTATUSCODES: false,
    authMethods: ['PLAIN', 'LOGIN'],
    authRequiredMessage: '5.7.0 Authentication required',
    maxAllowedUnauthenticatedCommands: MAX_COMMANDS_BEFORE_LOGIN,
    disabledCommands: ['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL'],
    disableReverseLookup: true,
    logger: false,
    ...(kind.onAuth === undefined ? {} : { onAuth: kind.onAuth }),
  });
  server.on('error', (error) => events.fault('smtp server', error));

  /** Does handshakes alone; `connection` may be emitted on a tls.Server by its documentation. */
  const handshakes = createTlsServer(tlsOptions());
  handshakes.on('secureConnection', secured);
  handshakes.on('tlsClientError', (error, socket) => {
    events.sessionFailed(service, '-', error);
    socket.destroy();
  });

  const stopFollowing = certificate.onReplace(() => {
    server.updateSecureContext(tlsOptions());
    handshakes.setSecureContext(tlsOptions());
  });

  function accept(socket: Socket, peer: string): void {
    socket.on('error', (error) => events.sessionFailed(service, '-', error));
    const release = admit(peer);
    if (release === undefined) return turnAway(socket);
    if (!kind.implicitTls) return open(socket, peer, release);

    const timer = clock.after(HANDSHAKE_TIME, () => socket.destroy());
    const key = connectionKey(socket);
    greeting.set(key, { socket, peer, timer, release });
    socket.once('close', () => {
      if (greeting.get(key)?.socket !== socket) return;
      greeting.delete(key);
      timer[Symbol.dispose]();
      release();
    });
    handshakes.emit('connection', socket);
  }

  function admit(peer: string): (() => void) | undefined {
    return stopping ? undefined : admission.admit(peer);
  }

  function turnAway(socket: Socket): void {
    turnedAway += 1;
    const refusal = refuse('too_many_connections', `${turnedAway} turned away`);
    if (clock.now() - turnedAwayAt >= TURNED_AWAY_INTERVAL) {
      events.sessionRefused(service, '-', refusal);
      turnedAwayAt = clock.now();
      turnedAway = 0;
    }
    // Before a TLS handshake nothing can be said, and handshakes are what a flood is after.
    if (kind.implicitTls) socket.destroy();
    else socket.end(`${refusal.reply}\r\n`, () => socket.destroy());
  }

  /** The handshake is done: the place goes over to the session. */
  function secured(socket: TLSSocket): void {
    const key = connectionKey(socket);
    const pending = greeting.get(key);
    if (pending === undefined) return void socket.destroy();
    greeting.delete(key);
    pending.timer[Symbol.dispose]();
    open(socket, pending.peer, pending.release);
  }

  function open(socket: Socket, peer: string, release: () => void): void {
    if (socket.destroyed) return release();
    const session = new Session(server, socket, {
      service,
      id: parts.random(8).toString('hex'),
      peer,
      domain: parts.domain,
      loginRequired: kind.onAuth !== undefined,
      maxMessageSize: parts.maxMessageSize,
      // Many people may come from one address, and one person from many; who has logged in is who they are.
      budget: (user = peer) => byteBudget.of(user),
      rules,
      take: parts.take,
      clock,
      events,
      // Not on the socket: STARTTLS removes all listeners from it.
      closed: (one) => {
        release();
        sessions.delete(one);
        if (stopping && sessions.size === 0) empty.resolve();
      },
    });
    sessions.add(session);
    session.init();
  }

  const tcp = await openTcpPort({ ...parts, service, keepAlive: true, take: accept }).catch(
    (error: unknown) => {
      stopFollowing();
      throw error;
    },
  );

  return {
    port: tcp.port,
    serve(socket, peer) {
      const release = admit(peer);
      if (release === undefined) socket.destroy();
      else open(socket, peer, release);
    },
    async [Symbol.asyncDispose]() {
      if (stopping) return empty.promise;
      stopping = true;
      stopFollowing();
      const closed = tcp.close();
      for (const { socket } of greeting.values()) socket.destroy();
      for (const session of sessions) session.leave();
      if (sessions.size === 0) empty.resolve();
      const grace = clock.after(GRACE_TIME, () => {
        for (const session of sessions) session.destroy();
      });
      await Promise.all([closed, empty.promise]);
      grace[Symbol.dispose]();
    },
  };
}

/** A tls.Server does not say which connection a secured one came from; its addresses do. */
function connectionKey({ localAddress, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`;
}
