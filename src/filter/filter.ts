import type { Pool } from '../workers/pool.ts';
import { judgeIncoming, judgeOutgoing } from './judge.ts';
import type { IncomingFacts, IncomingJudgement, OutgoingFacts, OutgoingJudgement } from './judge.ts';

/** The two judgements, wherever they are made. */
export interface Filter {
  judgeIncoming(facts: IncomingFacts): Promise<IncomingJudgement>;
  judgeOutgoing(facts: OutgoingFacts): Promise<OutgoingJudgement>;
}

/** What the workers must be able to do for it. */
export const filterTasks = { judgeIncoming, judgeOutgoing };

/**
 * Bytes of message from which a worker judges. An ordinary MB takes 2 ms here, one that is made to be slow takes 25;
 * handing it over costs 1.
 */
export const WORKER_FROM = 512 * 1024;

/** Judges small messages at once and big ones in `pool`. Rejects with TaskError where the pool is too busy. */
export function createFilter(pool: Pick<Pool<typeof filterTasks>, 'run'>): Filter {
  const small = ({ message }: { message: Buffer }) => message.length < WORKER_FROM;
  return {
    judgeIncoming: async (facts) => (small(facts) ? judgeIncoming(facts) : pool.run('judgeIncoming', facts)),
    judgeOutgoing: async (facts) => (small(facts) ? judgeOutgoing(facts) : pool.run('judgeOutgoing', facts)),
  };
}
