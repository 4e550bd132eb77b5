/**
 * The process that is stalled: it works on the WildDuck store as its parent tells it to, one line of JSON for each piece
 * of work, and stops itself (SIGSTOP) at the command to the database that the line names, before that is sent. The parent
 * lets it go on. On stdout it says, a line of JSON each, what becomes of it and what the store tells it.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock, systemRandom } from '../../src/machine.ts';
import { openWildduckStore } from '../../src/store/wildduck/open.ts';
import { startWork } from './stalled-work.ts';
import type { Work } from './stalled-work.ts';

const [database = ''] = process.argv.slice(2);

/** Written at once: the next moment may be a long time away. */
const say = (line: unknown) => writeSync(1, `${JSON.stringify(line)}\n`);

/** Commands until the stop; below 1 there is none. */
let left = 0;

await using store = await openWildduckStore({
  mongodbUrl: process.env['MONGODB_URL'] ?? '',
  redisUrl: process.env['REDIS_URL'] ?? '',
  database,
  clock: systemClock,
  random: systemRandom,
  quota: 1024 ** 3,
  onChange: (change) => say({ kind: 'change', change }),
  onCommand: ({ commandName, command }) => {
    // What is done now and then whatever happens is no part of the work.
    const filter = 'filter' in command ? JSON.stringify(command['filter']) : '';
    if (/^(hello|ping|endSessions)$/.test(commandName) || /"at":\{"\$lt"/.test(filter)) return;
    left -= 1;
    if (left !== 0) return;
    say({ kind: 'stopping', at: `${commandName} ${String(command[commandName])}` });
    process.kill(process.pid, 'SIGSTOP');
  },
});
say({ kind: 'open' });
for await (const line of createInterface({ input: process.stdin })) {
  const { work, stopAt } = JSON.parse(line) as { work: Work; stopAt: number };
  left = stopAt;
  const outcome = await startWork(store, work).then(
    (uids) => ({ uids }),
    (error: Error) => ({ error: `${error.name}: ${error.message}` }),
  );
  const stopped = left < 1;
  left = 0;
  say({ kind: 'done', stopped, ...outcome });
}
