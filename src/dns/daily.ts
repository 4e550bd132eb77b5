import { day, hour, minute } from '../clock.ts';
import type { Clock, Random, Timer } from '../clock.ts';
import { summarize } from './check.ts';
import type { Finding, Report } from './check.ts';

export interface DailyCheckParts {
  /** Ends soon after `signal` is aborted. */
  readonly check: (signal: AbortSignal) => Promise<Report>;
  readonly clock: Clock;
  readonly random: Random;
  /** Of observe/events.ts. */
  readonly events: {
    dnsWrong(name: string, type: string, problem: string): void;
    dnsWeak(name: string, type: string, problem: string): void;
    dnsUnknown(records: readonly string[]): void;
    dnsWell(): void;
    fault(where: string, error: unknown): void;
  };
}

/** Who has just started is still at the zone. */
const FIRST = hour;
/** Added to each wait at random, so that relays that start together do not ask together for ever. */
const JITTER = 30 * minute;

/** Looks at the zone once a day and logs what is wrong with it, until disposed of. Bounded: one check at a time. */
export function createDailyCheck({ check, clock, random, events }: DailyCheckParts): AsyncDisposable {
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let wasWell = false;
  let timer = after(FIRST);

  function after(ms: number): Timer {
    const jitter = (random(2).readUInt16BE() / 0x1_0000) * JITTER;
    return clock.after(ms + jitter, () => {
      running = look().finally(() => {
        if (!stop.signal.aborted) timer = after(day);
      });
    });
  }

  async function look(): Promise<void> {
    try {
      const report = await check(stop.signal);
      if (!stop.signal.aborted) tell(report);
    } catch (error) {
      events.fault('dns check', error);
    }
  }

  function tell(report: Report): void {
    const { failing, weak, unknown } = summarize(report);
    for (const finding of failing) events.dnsWrong(...told(finding));
    for (const finding of weak) events.dnsWeak(...told(finding));
    if (unknown.length > 0) events.dnsUnknown(unknown.map(({ name, type }) => `${name} ${type}`));
    const isWell = failing.length + weak.length + unknown.length === 0;
    if (isWell && !wasWell) events.dnsWell();
    wasWell = isWell;
  }

  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      timer[Symbol.dispose]();
      await running;
    },
  };
}

/** The name of an address is the address, which no log is to have; what is wrong with it needs none. */
function told({
  role,
  name,
  type,
  state,
  notes,
  want,
}: Finding): [name: string, type: string, problem: string] {
  if (role === 'reverse') return ['(reverse)', type, `no name that leads back: see teal dns check`];
  const problem = state === 'missing' ? 'missing' : (notes[0] ?? 'differs');
  return [name, type, role === 'address' ? state : `${problem}; wanted: ${want}`];
}
