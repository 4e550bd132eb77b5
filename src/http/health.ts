import { second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Listener } from './listener.ts';
import { createPrivateListener } from './private-listener.ts';

export interface HealthParts {
  /** 0 binds any free port. */
  readonly port: number;
  /** Resolves where the store answers reads and durable writes (Store.ping). */
  readonly ping: () => Promise<void>;
  readonly clock: Clock;
}

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

  return createPrivateListener({
    host: '127.0.0.1',
    port,
    pages: {
      '/health/live': async () => ({ status: 200, text: 'live\n' }),
      '/health/ready': async () =>
        (await isReady())
          ? { status: 200, text: 'ready\n' }
          : { status: 503, text: 'the store does not answer\n' },
    },
  });
}
