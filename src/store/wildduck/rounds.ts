import type { Clock } from '../../clock.ts';

/** Runs `work` at once and then every so often (ms), one run after the other, until it is disposed of. */
export function createRounds(
  clock: Clock,
  every: number,
  onFault: (where: string, error: Error) => void,
  work: () => Promise<void>,
): AsyncDisposable {
  let ended = false;
  let timer: Disposable | undefined;
  const run = async () => {
    try {
      await work();
    } catch (error) {
      if (!ended) onFault('store', error as Error);
    }
    if (!ended) timer = clock.after(every, () => void (running = run()));
  };
  let running = run();
  return {
    [Symbol.asyncDispose]: async () => {
      ended = true;
      timer?.[Symbol.dispose]();
      await running;
    },
  };
}
