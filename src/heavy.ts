/** The entry of every worker of the pool: all work that would hold the main loop. relay.ts names it to the pool. */
import { verifyTasks } from './authenticity/check.ts';
import { signTasks } from './dkim/signer.ts';
import { filterTasks } from './filter/filter.ts';
import { fetchTasks } from './imap/fetch-parts.ts';
import { serveTasks } from './workers/serve-tasks.ts';

export const tasks = { ...verifyTasks, ...signTasks, ...filterTasks, ...fetchTasks };

serveTasks(tasks);
