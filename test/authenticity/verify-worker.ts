import { verifyTasks } from '../../src/authenticity/check.ts';
import { serveTasks } from '../../src/workers/serve-tasks.ts';

/** A worker that verifies signatures and does nothing else. */
export const tasks = verifyTasks;

serveTasks(tasks);
