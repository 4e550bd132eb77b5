import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Listener } from './listener.ts';

export interface HealthParts {
  /** 0 binds any free port. */
  readonly port: number;
  /** Resolves where the store answers reads and durable writes (Store.ping). */
  readonly ping: () => Promise<void>;
  readonly clock: Clock;
}

/** Who asks more often than this many at once is no supervisor. */
const MAX_CONNECTIONS = 16;
/** A store that takes longer to answer is as good as away: clients have given up by then. */
const PATIENCE = 5 * second;

/**
 * What a supervisor asks, on loopback alone: GET /health/live is 200 while the main loop turns; GET /health/ready is
 * 200 while the store answers, else 503. Rejects when the port cannot be bound.
 */
export async function createHealth({ port, ping, clock }: HealthParts): Promise<Listener> {
  const isReady = async (): Promise<boolean> => {
    const late = Promise.withResolvers<boolean>();
    using _timer = clock.after(PATIENCE, () => late.resolve(false));
    const answered = ping().then(
      () => true,
      () => false,
    );
    return await Promise.race([answered, late.promise]);
  };

  const server = createServer({ requestTimeout: PATIENCE, headersTimeout: PATIENCE }, (request, response) => {
    const answer = (status: number, text: string) => {
      response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${text}\n`);
    };
    if (request.method !== 'GET') answer(405, 'GET only');
    else if (request.url === '/health/live') answer(200, 'live');
    else if (request.url !== '/health/ready') answer(404, 'there are /health/live and /health/ready');
    else
      void isReady().then((ready) =>
        ready ? answer(200, 'ready') : answer(503, 'the store does not answer'),
      );
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, '127.0.0.1');
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
