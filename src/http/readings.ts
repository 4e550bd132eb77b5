import { X509Certificate } from 'node:crypto';
import { second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Admission } from '../limits/admission.ts';
import { reading } from '../observe/meter.ts';
import type { Reading } from '../observe/meter.ts';
import type { ConnectionKind } from '../observe/metric-table.ts';
import type { PushJobs, Queue, Store } from '../store/contract.ts';
import type { CertificateSupply } from '../tls/open.ts';

export interface ReadingsParts {
  readonly store: Pick<Store, 'ping'> & {
    readonly queue: Pick<Queue, 'nextDue'>;
    readonly pushJobs: Pick<PushJobs, 'nextDue'>;
  };
  readonly supply: Pick<CertificateSupply, 'certificate' | 'failing'>;
  readonly admissions: ReadonlyMap<ConnectionKind, Pick<Admission, 'count'>>;
  readonly clock: Clock;
}

/** A store that takes longer to answer is as good as away, and Prometheus gives up after ten by itself. */
const PATIENCE = 5 * second;

/**
 * Reads the gauges. Costs three small questions to the store, none of which grows with what is in it; without an answer
 * the store is down and what it would have told is left out. The returned function never rejects for the store.
 */
export function createReadings(parts: ReadingsParts): () => Promise<readonly Reading[]> {
  const { store, supply, admissions, clock } = parts;
  const ping = createQuestion(clock, () => store.ping().then(() => true));
  const queueDue = createQuestion(clock, async () => (await store.queue.nextDue([])) ?? Infinity);
  const pushDue = createQuestion(clock, async () => (await store.pushJobs.nextDue()) ?? Infinity);
  const overdue = (due: number) => Math.max(0, clock.now() - due) / 1000;

  return async () => {
    const [isUp = false, queue, push] = await Promise.all([ping(), queueDue(), pushDue()]);
    const notAfter = new X509Certificate(supply.certificate.pair.cert).validToDate.getTime();
    return [
      reading('teal_store_up', isUp ? 1 : 0, {}),
      ...(queue === undefined ? [] : [reading('teal_queue_overdue_seconds', overdue(queue), {})]),
      ...(push === undefined ? [] : [reading('teal_push_overdue_seconds', overdue(push), {})]),
      reading('teal_certificate_not_after_timestamp_seconds', notAfter / 1000, {}),
      reading('teal_certificate_failing', supply.failing ? 1 : 0, {}),
      ...[...admissions].map(([service, { count }]) => reading('teal_connections', count, { service })),
    ];
  };
}

/** `undefined` where there is no answer in time. One that hangs is waited for again, not asked again. */
function createQuestion<T>(clock: Clock, ask: () => Promise<T>): () => Promise<T | undefined> {
  let asking: Promise<T | undefined> | undefined;
  return async () => {
    const late = Promise.withResolvers<undefined>();
    using _timer = clock.after(PATIENCE, () => late.resolve(undefined));
    asking ??= ask()
      .catch(() => undefined)
      .finally(() => (asking = undefined));
    return await Promise.race([asking, late.promise]);
  };
}
