import { metricTable, processMetrics } from '../../observe/metric-table.ts';
import type { Labels, Metric } from '../../observe/metric-table.ts';
import { code, madeFrom, page, tableOf } from './markdown.ts';

/** docs/metrics.md */
export function metricsPage(): string {
  return page(
    '# Metrics',
    madeFrom('src/observe/metric-table.ts'),
    'Teal tells [Prometheus](https://prometheus.io) how it is, and whatever else reads its text format. With ' +
      '`metrics_port = 8026` the page is http://127.0.0.1:8026/metrics; without, nothing is counted.',
    'It has no TLS and no password: let nobody reach it but Prometheus. No metric names an account, a destination, an ' +
      'address or a session, and the values of every label are few and known: who writes to the relay cannot add one.',
    '## Setting it up',
    ['```yaml', ...scrapeConfig, '```'].join('\n'),
    '**On another machine** Prometheus needs `metrics_address` to be an address of your private network.',
    '**In containers** (`compose.yaml`) two lines in `.env` open the port to the other containers and to this machine: ' +
      '`TEAL_METRICS_PORT=8026` and `TEAL_METRICS_ADDRESS=0.0.0.0`. A Prometheus in the network `teal_default` reads ' +
      '`teal:8026`. Leave the port out of `ports:`.',
    '**Several processes** on one store each have their own page: add them up with `sum`. `teal_certificate_…`, ' +
      '`teal_store_up` and `teal_…_overdue_seconds` are about what they share, as each of them sees it.',
    '**Alerts**: [config/alerts.example.yml](../config/alerts.example.yml) has rules for a certificate that is not ' +
      'renewed, a store that does not answer, a queue that grows or stands still, push that fails, records missing in ' +
      'DNS, and faults.',
    '## Of the relay',
    'Counters start at 0 with the process. A series that is labelled with a code comes with its first event. When the ' +
      'store does not answer within five seconds, the gauges that it would have told are left out.',
    tableOf(
      ['Metric', 'Type', 'Labels', 'Meaning'],
      Object.entries<Metric>(metricTable).map(([name, { type, labels, help }]) => [
        code(name),
        type,
        labelsText(labels),
        help,
      ]),
    ),
    '## Of the process',
    tableOf(
      ['Metric', 'Type', 'Meaning'],
      Object.entries(processMetrics).map(([name, { type, help }]) => [code(name), type, help]),
    ),
  );
}

const scrapeConfig = [
  '# prometheus.yml',
  'rule_files: [alerts.yml] # a copy of config/alerts.example.yml',
  'scrape_configs:',
  '  - job_name: teal',
  '    static_configs:',
  "      - targets: ['127.0.0.1:8026']",
];

/** As many values as one reads in a table; of more, where they are listed. */
const MAX_LISTED = 10;

function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([label, values]) => {
      if (values.length === 0) return code(label);
      return `${code(label)}: ${values.length > MAX_LISTED ? 'of [errors.md](errors.md)' : values.join(', ')}`;
    })
    .join('; ');
}
