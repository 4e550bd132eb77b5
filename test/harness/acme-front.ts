import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Pebble } from './pebble.ts';
import { selfSigned } from './self-signed.ts';

export interface AcmeFrontOptions {
  /** Names of certificate profiles that the directory offers; pebble knows none, and passes over what it is asked. */
  readonly profiles?: readonly string[];
  /** Looks at the payload of each new order; a problem document refuses it. */
  readonly refuse?: (order: {
    readonly identifiers: readonly { readonly type: string; readonly value: string }[];
    readonly profile?: string;
  }) => object | undefined;
}

/** Stands before a pebble and does what Let's Encrypt does and pebble does not. */
export interface AcmeFront extends AsyncDisposable {
  readonly directoryUrl: string;
  readonly trustedCa: string;
}

export async function startAcmeFront(pebble: Pebble, options: AcmeFrontOptions): Promise<AcmeFront> {
  const own = await selfSigned('localhost');
  const server = createServer({ key: own.key, cert: own.cert }, (asked, response) => {
    void (async () => {
      const body = await buffer(asked);
      const problem = asked.url === '/order-plz' ? options.refuse?.(payloadOf(body)) : undefined;
      if (problem !== undefined) {
        // A nonce that nobody knows is refused with a good one, and tried again.
        response.writeHead(403, { 'content-type': 'application/problem+json', 'replay-nonce': 'none' });
        response.end(JSON.stringify(problem));
        return;
      }
      // With the Host we were asked by: pebble makes its URLs from it.
      const passed = request({
        host: 'localhost',
        port: pebble.port,
        path: asked.url,
        method: asked.method,
        headers: asked.headers,
        ca: pebble.trustedCa,
        agent: false,
      });
      passed.end(body);
      const [answer] = (await once(passed, 'response')) as [IncomingMessage];
      const whole = await buffer(answer);
      const { 'content-length': _length, ...headers } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, headers);
      response.end(asked.url === '/dir' ? withProfiles(whole, options.profiles ?? []) : whole);
    })().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    directoryUrl: `https://localhost:${(server.address() as AddressInfo).port}/dir`,
    trustedCa: own.cert,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function payloadOf(body: Buffer): Parameters<NonNullable<AcmeFrontOptions['refuse']>>[0] {
  const { payload } = JSON.parse(body.toString()) as { payload: string };
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as ReturnType<typeof payloadOf>;
}

function withProfiles(directory: Buffer, profiles: readonly string[]): string {
  const known = JSON.parse(directory.toString()) as { meta?: object };
  const described = Object.fromEntries(profiles.map((name) => [name, `about ${name}`]));
  return JSON.stringify({ ...known, meta: { ...known.meta, profiles: described } });
}
