import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { KeyPair } from '../../src/tls/certificate.ts';
import type { Act } from './scripted-act.ts';

export interface MxdelivRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** X-MAIL-FROM; undefined where there is none. */
  readonly sender: string | undefined;
  /** X-MAIL-TO, one for each. */
  readonly recipients: readonly string[];
  /** As it came, dot-stuffed. */
  readonly body: string;
  /** Of the connection, counted from 0. */
  readonly connection: number;
}

/** An answer, or what happens to the connection instead. */
export type MxdelivAnswer = { readonly status: number; readonly body?: string; readonly type?: string } | Act;

/** A web server with /mxdeliv that does what a test tells it, and records what it got. */
export interface ScriptedMxdeliv extends AsyncDisposable {
  readonly port: number;
  /** Counts from the next request on. */
  answer: (request: MxdelivRequest) => MxdelivAnswer | Promise<MxdelivAnswer>;
  /** At the head of a request, before its body is read; where it answers, `answer` is not asked. */
  early: ((recipients: readonly string[]) => MxdelivAnswer | undefined) | undefined;
  /** Instead of TLS, from the next connection on. */
  handshake: Act | undefined;
  readonly requests: readonly MxdelivRequest[];
  /** Connections so far, and those that stand now. */
  readonly connections: number;
  readonly open: number;
  /** Ends the connections on which nothing is asked just now, as a server does that has waited long enough. */
  endIdle(): void;
  use(certificate: KeyPair): void;
}

export const TAKEN: MxdelivAnswer = { status: 200, body: '250 OK' };

export async function createScriptedMxdeliv(
  certificate: KeyPair,
  answer: ScriptedMxdeliv['answer'] = () => TAKEN,
): Promise<ScriptedMxdeliv> {
  const requests: MxdelivRequest[] = [];
  const sockets = new Map<Socket, number>();
  const secured = new Map<Socket, number>();
  const busy = new Set<Socket>();
  let connections = 0;
  const below = (socket: Socket): Socket =>
    [...sockets.keys()].find(({ remotePort }) => remotePort === socket.remotePort) ?? socket;
  const server = createServer({ ...certificate, keepAliveTimeout: 0 });
  server.on('secureConnection', (socket: TLSSocket) => {
    secured.set(socket, secured.size);
    socket.on('close', () => secured.delete(socket));
  });
  const listen = server.listeners('connection').at(-1) as (socket: Socket) => void;
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    sockets.set(socket, connections++);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    // Reads, so that it hears when the other side goes.
    if (peer.handshake) void peer.handshake(socket.resume(), socket);
    else listen.call(server, socket);
  });
  server.on('request', (request, response) => {
    const { socket, method = '', url = '', headers } = request;
    busy.add(socket);
    response.on('close', () => busy.delete(socket));
    const recipients = request.headersDistinct['x-mail-to'] ?? [];
    const give = (answer: MxdelivAnswer) => {
      if (typeof answer === 'function') return void answer(socket, below(socket));
      response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain' });
      response.end(answer.body ?? '');
    };
    const early = peer.early?.(recipients);
    if (early) return give(early);
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const got: MxdelivRequest = {
        method,
        path: url,
        headers,
        sender: request.headersDistinct['x-mail-from']?.[0],
        recipients,
        body: Buffer.concat(chunks).toString('latin1'),
        connection: secured.get(socket) ?? -1,
      };
      requests.push(got);
      void Promise.resolve(peer.answer(got)).then(give);
    });
  });
  const peer: ScriptedMxdeliv = {
    answer,
    early: undefined,
    handshake: undefined,
    requests,
    get port() {
      return (server.address() as AddressInfo).port;
    },
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    endIdle() {
      for (const socket of secured.keys()) if (!busy.has(socket)) socket.destroy();
    },
    use: (other) => server.setSecureContext(other),
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets.keys()) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return peer;
}
