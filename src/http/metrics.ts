import type { Events } from '../observe/events.ts';
import type { Reading } from '../observe/meter.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Listener } from './listener.ts';
import { createPrivateListener } from './private-listener.ts';

export interface MetricsListenerParts {
  /** metrics_address */
  readonly host: string;
  /** 0 binds any free port. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  /** Resolves within seconds, also where the store is away. */
  readonly read: () => Promise<readonly Reading[]>;
  readonly events: Pick<Events, 'fault'>;
}

/**
 * `GET /metrics` in Prometheus' text format. Who asks while another is being answered gets the same text: one is made
 * at a time. Rejects when the port cannot be bound.
 */
export function createMetricsListener(parts: MetricsListenerParts): Promise<Listener> {
  const { host, port, metrics, read, events } = parts;
  const answer = async () => {
    try {
      return { status: 200, text: await metrics.text(await read()), type: metrics.contentType };
    } catch (error) {
      events.fault('metrics', error);
      return { status: 500, text: 'a fault of Teal; its log says more\n' };
    }
  };
  let answering: ReturnType<typeof answer> | undefined;
  return createPrivateListener({
    host,
    port,
    pages: { '/metrics': () => (answering ??= answer().finally(() => (answering = undefined))) },
  });
}
