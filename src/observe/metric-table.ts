import { refusals } from '../errors.ts';
import type { RefusalCode } from '../errors.ts';

export const services = ['smtp', 'submission', 'submissions', 'imap', 'imaps', 'http', 'https'] as const;
export type Service = (typeof services)[number];

/**
 * What connections are counted by: the two IMAP ports share one limit; of mxdeliv it is requests under way, of iroh
 * connections that are passed on.
 */
export const connectionKinds = [
  'smtp',
  'submission',
  'submissions',
  'imap',
  'http',
  'https',
  'mxdeliv',
  'iroh',
] as const;
export type ConnectionKind = (typeof connectionKinds)[number];

/** Names of labels, each with every value it can have: nothing that a stranger chooses is ever one. */
export type Labels = Readonly<Record<string, readonly string[]>>;

export interface Metric<L extends Labels = Labels> {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What one reads beside it, in Prometheus and in docs/metrics.md. */
  readonly help: string;
  readonly labels: L;
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

const counter = <const L extends Labels>(help: string, labels: L) =>
  ({ type: 'counter', help, labels }) as const satisfies Metric;
const gauge = <const L extends Labels>(help: string, labels: L) =>
  ({ type: 'gauge', help, labels }) as const satisfies Metric;

const codes = Object.keys(refusals) as RefusalCode[];
const directions = ['incoming', 'outgoing'] as const;
/** Of a label with one value, which the release gives. */
const oneOfRelease: readonly string[] = [];

/**
 * Every metric of Teal's own: the registry, the types of the meter and docs/metrics.md come from here. Names end in their
 * unit, which is a base unit (seconds, bytes), and counters in `_total`.
 */
export const metricTable = {
  teal_build_info: gauge('Always 1; the label says which version of Teal runs', { version: oneOfRelease }),

  teal_logins_total: counter('Logins that succeeded', { service: services }),
  teal_logins_refused_total: counter(
    'Logins refused: a wrong password, or no account is made for the name',
    {},
  ),
  teal_logins_unavailable_total: counter(
    'Logins answered with a temporary failure: the store is away, or more come at once than passwords are hashed for',
    {},
  ),
  teal_sign_ups_refused_total: counter('Accounts that /new did not make, for a token or the want of one', {}),
  teal_accounts_created_total: counter('Accounts made', {}),

  teal_messages_accepted_total: counter(
    'Messages taken and on disk: incoming from other relays, outgoing from users, also to users here',
    { direction: directions },
  ),
  teal_messages_accepted_bytes_total: counter('Their bytes, each message once', { direction: directions }),
  teal_messages_accepted_recipients_total: counter('Their recipients here', { direction: directions }),
  teal_messages_refused_total: counter('Messages and recipients refused, by the code of docs/errors.md', {
    direction: directions,
    code: codes,
  }),
  teal_recipients_dropped_total: counter(
    'Recipients here who got nothing of an accepted message, without anybody being told',
    { reason: ['unknown', 'over-quota'] },
  ),

  teal_queue_recipients_added_total: counter('Recipients elsewhere whose mail came into the queue', {}),
  teal_queue_recipients_delivered_total: counter(
    'Recipients elsewhere whose relay took the message, by /mxdeliv or SMTP',
    { via: ['mxdeliv', 'smtp'] },
  ),
  teal_queue_recipients_deferred_total: counter(
    'Recipients elsewhere who were not reached at a try; each try counts',
    {},
  ),
  teal_queue_recipients_failed_total: counter(
    'Recipients elsewhere who were given up: refused for good, or maximal_queue_lifetime is over',
    {},
  ),
  teal_queue_claims_lost_total: counter(
    'Tries that were broken off because another process had taken over',
    {},
  ),
  teal_queue_delivery_seconds: {
    type: 'histogram',
    help: 'From taking a message to its delivery elsewhere, each transaction once',
    labels: { via: ['mxdeliv', 'smtp'] },
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 86_400],
  },
  teal_queue_overdue_seconds: gauge(
    'For how long the row of the queue that has been due longest has been so; 0 when none is due',
    {},
  ),
  teal_bounces_sent_total: counter('Bounces, to senders here or elsewhere', {
    sender: ['here', 'elsewhere'],
  }),
  teal_bounces_suppressed_total: counter('Bounces that nobody got', { reason: ['no account', 'no room'] }),
  teal_mta_sts_mismatches_total: counter(
    'Destinations whose MX hosts their MTA-STS policy does not name',
    {},
  ),
  teal_dane_mismatches_total: counter(
    'Handshakes in which a certificate fitted no DANE record of its host',
    {},
  ),

  teal_push_sent_total: counter('Tokens that the notifier took', {}),
  teal_push_failed_total: counter('Tries that the notifier did not take; they come again', {}),
  teal_push_given_up_total: counter('Tokens that were not pushed after the last try', {}),
  teal_push_tokens_dropped_total: counter('Tokens whose device is gone, as the notifier says', {}),
  teal_push_overdue_seconds: gauge(
    'For how long the push that has been due longest has been so; 0 when none is due',
    {},
  ),

  teal_connections: gauge(
    'Connections open now; of mxdeliv requests under way, of iroh those passed on to iroh_upstream',
    {
      service: connectionKinds,
    },
  ),
  teal_sessions_refused_total: counter(
    'Sessions turned away or ended by Teal, by the code of docs/errors.md; as often as the log tells of it',
    { service: services, code: codes },
  ),
  teal_proxy_headers_refused_total: counter(
    'Connections of a proxy (proxy_protocol_from) without a good PROXY header',
    { service: services },
  ),
  teal_sessions_failed_total: counter('Sessions broken by the peer or the network', { service: services }),

  teal_certificate_not_after_timestamp_seconds: gauge('When the certificate that is served expires', {}),
  teal_certificate_failing: gauge(
    '1 from the first try to renew the certificate that fails, or while its files cannot be used, until one succeeds',
    {},
  ),
  teal_certificates_issued_total: counter('Certificates that the authority issued', {}),
  teal_certificates_failed_total: counter('Tries to have a certificate that failed', {}),
  teal_certificate_files_rejected_total: counter('Pairs of certificate files that could not be used', {}),

  teal_dns_records_wrong_total: counter('Records that must be in DNS and were not right at a daily look', {}),
  teal_dns_records_weak_total: counter(
    'Records that should be in DNS and were not right at a daily look',
    {},
  ),

  teal_store_up: gauge('1 when the store answered reads and durable writes at this scrape, else 0', {}),
  teal_store_unavailable_total: counter('Times that the store did not answer', {}),
  teal_iroh_unavailable_total: counter('Times that iroh_upstream did not answer, once a minute at most', {}),
  teal_faults_total: counter('Faults of Teal itself; the log has the stack of each', {}),
} as const satisfies Readonly<Record<string, Metric>>;

type MetricTable = typeof metricTable;
export type MetricName = keyof MetricTable;
/** Names of the metrics of one type. */
export type NamesOf<T extends Metric['type']> = {
  [N in MetricName]: MetricTable[N]['type'] extends T ? N : never;
}[MetricName];
/** A value for each label of a metric. */
export type LabelsOf<N extends MetricName> = {
  readonly [
    L in keyof MetricTable[N]['labels']
  ]: MetricTable[N]['labels'][L] extends readonly (infer V extends string)[] ? V : never;
};

/**
 * Of what prom-client can tell about the process, what is kept; the names are those of every Prometheus client. Left out
 * is what costs by the number of connections, or has labels with names of classes.
 */
export const processMetrics = {
  process_start_time_seconds: { type: 'gauge', help: 'When the process started' },
  process_cpu_user_seconds_total: { type: 'counter', help: 'Time of CPU in the program, of all threads' },
  process_cpu_system_seconds_total: { type: 'counter', help: 'Time of CPU in the kernel' },
  process_cpu_seconds_total: { type: 'counter', help: 'Both together' },
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory in use' },
  process_open_fds: { type: 'gauge', help: 'Open files and sockets' },
  process_max_fds: { type: 'gauge', help: 'How many there may be (ulimit -n)' },
  nodejs_version_info: { type: 'gauge', help: 'Always 1; the labels say which Node runs' },
  nodejs_heap_size_total_bytes: { type: 'gauge', help: 'Heap of the main thread' },
  nodejs_heap_size_used_bytes: { type: 'gauge', help: 'Of it in use' },
  nodejs_external_memory_bytes: {
    type: 'gauge',
    help: 'Memory outside of the heap, for instance of messages',
  },
  nodejs_gc_duration_seconds: { type: 'histogram', help: 'Garbage collections of the main thread, by kind' },
  nodejs_eventloop_lag_seconds: { type: 'gauge', help: 'How late the main loop was at the last scrape' },
  nodejs_eventloop_lag_max_seconds: { type: 'gauge', help: 'The longest turn of it since then' },
  nodejs_eventloop_lag_p50_seconds: { type: 'gauge', help: 'The median turn; 20 ms are no lag at all' },
  nodejs_eventloop_lag_p90_seconds: { type: 'gauge', help: 'What nine of ten turns stay below' },
  nodejs_eventloop_lag_p99_seconds: { type: 'gauge', help: 'What 99 of 100 stay below' },
} as const satisfies Readonly<Record<string, Pick<Metric, 'type' | 'help'>>>;
