import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric as PromMetric } from 'prom-client';
import { metricTable, processMetrics } from './metric-table.ts';
import type { Labels, Metric } from './metric-table.ts';
import type { Meter, Reading } from './meter.ts';

/** All that is measured of one relay, with a registry of its own: prom-client's global one is WildDuck's. */
export interface Metrics {
  readonly meter: Meter;
  readonly contentType: string;
  /** The page that Prometheus reads. A gauge that is not among the `readings` has no value on it. */
  text(readings: readonly Reading[]): Promise<string>;
}

/**
 * A counter's series are there from the start, at 0, where it has no more than this many: the first event is then seen as
 * an increase. Of codes there are hundreds; those begin with their first event.
 */
const MAX_SERIES_AT_START = 20;
/** Milliseconds between looks at the main loop; each wakes it: at 20 that takes a quarter of a percent of a CPU. */
const LAG_EVERY = 20;

/**
 * This file alone loads prom-client: it is imported only where metrics are read. One relay in a process should do it,
 * since prom-client goes on watching the process until that ends.
 */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, metric] of Object.entries<Metric>(metricTable)) {
    const config = { name, help: metric.help, labelNames: Object.keys(metric.labels), registers: [registry] };
    if (metric.type === 'gauge') gauges.set(name, new Gauge(config));
    else if (metric.type === 'histogram')
      histograms.set(name, new Histogram({ ...config, buckets: [...(metric.buckets ?? [])] }));
    else counters.set(name, startedAtZero(new Counter(config), metric.labels));
  }
  for (const metric of watchProcess()) registry.registerMetric(metric);

  return {
    meter: {
      add: (name, ...[labels, by = 1]) => {
        if (by >= 0 && Number.isFinite(by)) counters.get(name)?.inc(labels ?? {}, by);
      },
      time: (name, labels, seconds) => {
        // A clock that was set back.
        if (Number.isFinite(seconds)) histograms.get(name)?.observe(labels, Math.max(0, seconds));
      },
    },
    contentType: registry.contentType,
    text(readings) {
      for (const gauge of gauges.values()) {
        gauge.reset();
        // One without labels would be 0 now.
        gauge.remove({});
      }
      gauges.get('teal_build_info')?.set({ version }, 1);
      for (const { name, labels, value } of readings) gauges.get(name)?.set(labels, value);
      return registry.metrics();
    },
  };
}

/** What is to be told about the process, each with its own way to look. */
function watchProcess(): PromMetric[] {
  const all = new Registry();
  collectDefaultMetrics({ register: all, eventLoopMonitoringPrecision: LAG_EVERY });
  return Object.keys(processMetrics).flatMap((name) => all.getSingleMetric(name) ?? []);
}

function startedAtZero(counter: Counter, labels: Labels): Counter {
  const series = combinationsOf(labels);
  if (series.length <= MAX_SERIES_AT_START) for (const each of series) counter.inc(each, 0);
  return counter;
}

/** Every set of values that the labels can have; one, of nothing, where there are no labels. */
function combinationsOf(labels: Labels): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (sets, [label, values]) => sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value }))),
    [{}],
  );
}
