import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import { createSecureContext } from 'node:tls';
import { refuse } from '../errors.ts';
import type { Admission } from '../limits/admission.ts';
import type { AddressList } from '../limits/address-list.ts';
import type { SharedByteBudget } from '../limits/byte-budget.ts';
import { openTcpPort } from '../limits/tcp-port.ts';
import type { Certificate, KeyPair } from '../tls/certificate.ts';
import type { SessionParts } from './context.ts';
import { startSession } from './session.ts';
import type { Session } from './session.ts';
import { statusLine } from './wire/response.ts';

/** An IMAP listener; disposing of it says BYE to everybody and resolves when all are gone, within seconds. */
export interface Listener extends AsyncDisposable {
  readonly port: number;
  /**
   * Takes over a socket that has TLS already, such as one that came to 443 and chose `imap` by ALPN. `peer` is the
   * client's network address.
   */
  serve(socket: TLSSocket, peer: string): void;
}

export interface ImapParts extends Omit<SessionParts, 'service' | 'secureContext' | 'byteBudget'> {
  /** Of which each peer has its share. */
  readonly byteBudget: SharedByteBudget;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** 143, or 993 (RFC 8314). */
  readonly mode: 'starttls' | 'implicit';
  /** Whose connections begin with a PROXY header. */
  readonly proxies?: AddressList;
  readonly certificate: Certificate;
  readonly admission: Admission;
}

/** client.md 1.8: all clients of ours speak 1.3. */
const MIN_TLS = 'TLSv1.3';

/** Resolves when it listens; rejects with the system's error where the port cannot be had. */
export async function createImap(parts: ImapParts): Promise<Listener> {
  const service = parts.mode === 'implicit' ? 'imaps' : 'imap';
  let secureContext = contextOf(parts.certificate.pair);
  const stopListening = parts.certificate.onReplace((pair) => {
    secureContext = contextOf(pair);
  });
  const sessions = new Set<Session>();

  function take(socket: Socket, peer: string, tls: 'now' | 'later' | 'done'): void {
    const leave = parts.admission.admit(peer);
    if (!leave) {
      turnAway(socket, tls);
      return;
    }
    const session = startSession({
      socket,
      peer,
      tls,
      parts: {
        ...parts,
        service,
        secureContext: () => secureContext,
        byteBudget: parts.byteBudget.of(peer),
      },
    });
    sessions.add(session);
    void session.done.then(() => {
      sessions.delete(session);
      leave();
    });
  }

  /** Without a handshake: who is turned away must cost little. */
  function turnAway(socket: Socket, tls: 'now' | 'later' | 'done'): void {
    parts.events.sessionRefused(service, '-', refuse('too_many_connections', service));
    socket.on('error', () => undefined);
    if (tls === 'now') socket.destroy();
    else {
      socket.end(statusLine('*', 'BYE', 'Too many connections, try again later', 'UNAVAILABLE'));
      socket.destroySoon();
    }
  }

  const tcp = await openTcpPort({
    ...parts,
    service,
    keepAlive: false,
    take: (socket, peer) => take(socket, peer, parts.mode === 'implicit' ? 'now' : 'later'),
  }).catch((error: unknown) => {
    stopListening();
    throw error;
  });

  return {
    port: tcp.port,
    serve: (socket, peer) => take(socket, peer, 'done'),
    async [Symbol.asyncDispose]() {
      stopListening();
      const stopped = tcp.close();
      for (const session of sessions) session.shutDown();
      await Promise.all([...sessions].map((session) => session.done));
      await stopped;
    },
  };
}

function contextOf({ key, cert }: KeyPair): SecureContext {
  return createSecureContext({ key, cert, minVersion: MIN_TLS });
}
