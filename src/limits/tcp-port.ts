import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { second } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Events, Service } from '../observe/events.ts';
import type { AddressList } from './address-list.ts';
import { readProxyHeader } from './proxy-header.ts';

export interface TcpPortParts {
  readonly service: Service;
  readonly host: string;
  /** 0 binds any free port. */
  readonly port: number;
  /** Probes of the system for peers that have gone without a word. */
  readonly keepAlive: boolean;
  /** Who speaks for others, and says at the start for whom; none where it is left out. */
  readonly proxies?: AddressList | undefined;
  /** A connection, and the network address of the client: that of the proxied one where a proxy named it. */
  readonly take: (socket: Socket, client: string) => void;
  readonly events: Events;
  readonly clock: Clock;
}

/** A port that is bound. */
export interface TcpPort {
  readonly port: number;
  /** No new connections, and an end to those that were not handed over; resolves with the end of the last one. */
  close(): Promise<void>;
}

/** proxy-protocol.txt 2: at least 3 s, because a lost packet comes again after that long. */
export const PROXY_HEADER_TIME = 5 * second;
/** Connections of proxies whose header has not come, on one port; a proxy sends it with the first packet. */
export const MAX_WAITING = 1000;
/** Headers that failed are logged this often, with their number. */
const REFUSED_INTERVAL = 10 * second;

/** Binds a port, in front of every listener. Rejects with the system's error where it cannot be had. */
export async function openTcpPort(parts: TcpPortParts): Promise<TcpPort> {
  const { clock, events, proxies, service, take } = parts;
  const waiting = new Map<Socket, Timer>();
  let closing = false;
  let refused = 0;
  let refusedAt = -Infinity;

  function accept(socket: Socket): void {
    const peer = socket.remoteAddress ?? '';
    if (proxies?.has(peer)) awaitHeader(socket, peer);
    else take(socket, peer);
  }

  function awaitHeader(socket: Socket, proxy: string): void {
    let seen: Buffer = Buffer.alloc(0);
    const read = () => {
      for (let chunk = readFrom(socket); chunk !== null; chunk = readFrom(socket)) {
        seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      }
      // The parser bounds what may be incomplete; one chunk of a socket is 64 KB at most.
      const header = readProxyHeader(seen);
      if (header === 'incomplete') return;
      forget();
      if (header === 'invalid') return refuse('no PROXY header, or a bad one');
      if (seen.length > header.length) socket.unshift(seen.subarray(header.length));
      // Removing the last reader of `readable` acts in the next tick; whoever takes over begins after that.
      process.nextTick(() => {
        if (closing) socket.destroy();
        if (socket.destroyed) return;
        socket.off('error', fail);
        take(socket, header.address ?? proxy);
      });
    };
    const refuse = (reason: string) => {
      socket.destroy();
      note(reason);
    };
    const fail = (error: Error) => events.sessionFailed(service, '-', error);
    const end = () => {
      // Without a byte: a proxy that looks whether the port is there.
      if (waiting.has(socket) && seen.length > 0) note('cut off within the PROXY header');
      forget();
    };
    const forget = () => {
      waiting.get(socket)?.[Symbol.dispose]();
      waiting.delete(socket);
      socket.off('readable', read);
      socket.off('close', end);
    };

    socket.on('error', fail);
    if (waiting.size >= MAX_WAITING) return refuse('too many wait for their PROXY header');
    const late = () => {
      forget();
      refuse('PROXY header took too long');
    };
    waiting.set(socket, clock.after(PROXY_HEADER_TIME, late));
    socket.on('close', end);
    socket.on('readable', read);
  }

  function note(reason: string): void {
    refused += 1;
    if (clock.now() - refusedAt < REFUSED_INTERVAL) return;
    events.proxyHeaderRefused(service, reason, refused);
    refusedAt = clock.now();
    refused = 0;
  }

  // client.md 2.8: without noDelay each answer may wait 40 ms for the peer's acknowledgement.
  const server = createServer({ noDelay: true, keepAlive: parts.keepAlive }, accept);
  server.listen(parts.port, parts.host);
  await once(server, 'listening');
  // Too many open files and the like: this connection is lost, the next may be had.
  server.on('error', (error) => events.fault(`${service} port`, error));
  const address = server.address();

  return {
    port: address !== null && typeof address === 'object' ? address.port : parts.port,
    close() {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of [...waiting.keys()]) socket.destroy();
      return closed;
    },
  };
}

function readFrom(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
