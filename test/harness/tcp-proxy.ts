import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { listenOnQuietPort } from './quiet-port.ts';

/** A server on 127.0.0.1 that passes everything on to another, until a test has it fail in one way or another. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections now. */
  readonly connections: number;
  /** As if the server had died: connections are cut, new ones are refused. */
  stop(): Promise<void>;
  /** As if the network had: connections stay, new ones come about, but nothing passes. */
  stall(): void;
  /** All is well again; what was held back by a stall passes now. */
  resume(): Promise<void>;
}

export async function createTcpProxy(target: {
  readonly host: string;
  readonly port: number;
  /** Where it connects from: any of 127.0.0.0/8 is a machine of its own to the server. */
  readonly localAddress?: string;
  /** What it says before its client does. */
  readonly header?: string | Buffer;
  /** That goes in one write with the client's first bytes, not before them: only where the client speaks first. */
  readonly headerWaits?: boolean;
}): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let stalled = false;

  const server = createServer((client) => {
    const { host, port: upstreamPort, localAddress, header, headerWaits } = target;
    const upstream = connect({ host, port: upstreamPort, ...(localAddress && { localAddress }) });
    upstream.cork();
    if (header !== undefined) upstream.write(header);
    if (headerWaits) client.once('data', () => process.nextTick(() => upstream.uncork()));
    else upstream.uncork();
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      if (stalled) from.pause();
      from.setNoDelay(true);
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => {
        if (!stalled) from.resume();
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    if (stalled) for (const socket of [client, upstream]) socket.pause();
  });

  const port = await listenOnQuietPort(server);

  const stop = async () => {
    if (!server.listening) return;
    const closed = [server, ...sockets].map((each) => once(each, 'close'));
    server.close();
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  };

  return {
    port,
    get connections() {
      return sockets.size / 2;
    },
    stop,
    stall() {
      stalled = true;
      for (const socket of sockets) socket.pause();
    },
    async resume() {
      stalled = false;
      for (const socket of sockets) socket.resume();
      if (server.listening) return;
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** A proxy before the server of a URL, and the URL that goes through it. */
export async function createProxyFor(url: string): Promise<{ proxy: TcpProxy; url: string }> {
  const parsed = new URL(url);
  const target = { host: parsed.hostname, port: Number(parsed.port) };
  const proxy = await createTcpProxy(target);
  parsed.hostname = '127.0.0.1';
  parsed.port = String(proxy.port);
  return { proxy, url: parsed.href };
}
