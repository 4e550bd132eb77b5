import type { LabelsOf, NamesOf } from './metric-table.ts';

/** Where events are counted. Never throws: what is counted must not fail for it. */
export interface Meter {
  /** Adds `by`, 1 unless given. */
  readonly add: <N extends NamesOf<'counter'>>(name: N, ...how: WithLabels<N, [by?: number]>) => void;
  /** Takes one more time into a histogram. */
  readonly time: <N extends NamesOf<'histogram'>>(name: N, labels: LabelsOf<N>, seconds: number) => void;
}

/** The labels may be left out where there are none. */
type WithLabels<N extends NamesOf<'counter' | 'gauge'>, More extends unknown[]> =
  Record<never, never> extends LabelsOf<N>
    ? [labels?: Record<never, never>, ...more: More]
    : [labels: LabelsOf<N>, ...more: More];

/** Where metrics_port is closed nobody would read a count. */
export const noMeter: Meter = { add: () => undefined, time: () => undefined };

/** A gauge as it is now, read when somebody asks. */
export interface Reading {
  readonly name: NamesOf<'gauge'>;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A reading whose labels fit its name. */
export function reading<N extends NamesOf<'gauge'>>(name: N, value: number, labels: LabelsOf<N>): Reading {
  return { name, labels, value };
}
