import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A proxy that leads names and well-known ports to the ports of a test, and everything else nowhere (probe.md 1.4). */
export interface Socks extends AsyncDisposable {
  /** For the core's setting `proxy_url`. */
  readonly url: string;
  /** `name:port` of every connection asked for, in order. */
  readonly asked: readonly string[];
}

/** `routes` maps `name:port` to a port on loopback. SOCKS5 without login (RFC 1928). */
export async function startSocks(routes: ReadonlyMap<string, number>): Promise<Socks> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined);
    void talk(client).catch(() => client.destroy());
  });

  async function talk(client: Socket): Promise<void> {
    const greeting = await read(client, 2);
    await read(client, greeting[1] ?? 0);
    client.write(Buffer.from([5, 0]));
    const head = await read(client, 4);
    const name =
      head[3] === 3
        ? (await read(client, (await read(client, 1))[0] ?? 0)).toString()
        : [...(await read(client, 4))].join('.');
    const target = `${name}:${(await read(client, 2)).readUInt16BE()}`;
    asked.push(target);
    const port = routes.get(target);
    // 4: host unreachable.
    if (port === undefined) return void client.end(Buffer.from([5, 4, 0, 1, 0, 0, 0, 0, 0, 0]));
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    sockets.add(upstream);
    upstream.on('error', () => client.destroy());
    upstream.once('close', () => client.destroy());
    client.once('close', () => upstream.destroy());
    await once(upstream, 'connect');
    client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
    client.pipe(upstream);
    upstream.pipe(client);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `socks5://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function read(socket: Socket, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes !== null) return bytes;
    if (socket.destroyed) throw new Error('closed');
    await once(socket, 'readable');
  }
}
