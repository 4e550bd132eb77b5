import { existsSync } from 'node:fs';
import type { Clock, Random } from './clock.ts';
import type {
  MoveSource,
  MoveTarget,
  OnChange,
  Queue,
  SignUpTokens,
  Store,
  Values,
} from './store/contract.ts';
import { pathsOf } from './store/sqlite/directory.ts';
import { openSqliteSource } from './store/sqlite/move-source.ts';
import { openSqliteTarget } from './store/sqlite/move-target.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import { openSqliteQueueListing } from './store/sqlite/queue-listing.ts';
import { openSqliteSignUpTokens } from './store/sqlite/sign-up-token-list.ts';
import { openSqliteValues } from './store/sqlite/values.ts';
import { checkInstalled } from './store/wildduck/installed.ts';
import type { Settings } from './settings/table.ts';

/** What the settings call a store. This file alone names the backends. */
export type StoreName = Settings['store'];

/** What a store needs beside the settings. */
export interface StoreParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly onFault: (where: string, error: Error) => void;
}

/** Opens the store that the settings name. What belongs to WildDuck is loaded only when it is chosen. */
export async function openStore(
  settings: Settings,
  { onChange, ...parts }: StoreParts & { readonly onChange: OnChange },
): Promise<Store> {
  const { data_dir: dataDir, max_mailbox_size: quota } = settings;
  if (settings.store === 'sqlite')
    return openSqliteStore({ dataDir, quota, onChange, onFault: parts.onFault });
  checkInstalled();
  const { openWildduckStore } = await import('./store/wildduck/open.ts');
  return openWildduckStore({ ...cluster(settings), ...parts, quota, onChange });
}

/** The values of the store that the settings name, for a command: a relay may be running on it meanwhile. */
export async function openValues(
  settings: Settings,
  parts: Pick<StoreParts, 'onFault'>,
): Promise<Values & AsyncDisposable> {
  if (settings.store === 'sqlite') return openSqliteValues(settings.data_dir);
  checkInstalled();
  const { openWildduckValues } = await import('./store/wildduck/values.ts');
  return openWildduckValues({ ...cluster(settings), ...parts });
}

/** The sign-up tokens of the store that the settings name, for a command: a relay may be running on it meanwhile. */
export async function openSignUpTokens(
  settings: Settings,
  parts: Pick<StoreParts, 'onFault'>,
): Promise<Pick<SignUpTokens, 'add' | 'list' | 'remove'> & AsyncDisposable> {
  if (settings.store === 'sqlite') return openSqliteSignUpTokens(settings.data_dir);
  checkInstalled();
  const { openWildduckSignUpTokens } = await import('./store/wildduck/sign-up-tokens.ts');
  return openWildduckSignUpTokens({ ...cluster(settings), ...parts });
}

/** What waits in the queue of the store that the settings name, for a command: a relay may be running on it meanwhile. */
export async function openQueueListing(
  settings: Settings,
  { clock, onFault }: Pick<StoreParts, 'clock' | 'onFault'>,
): Promise<Pick<Queue, 'destinations' | 'rows'> & AsyncDisposable> {
  if (settings.store === 'sqlite') return openSqliteQueueListing(settings.data_dir);
  checkInstalled();
  const { openWildduckQueueListing } = await import('./store/wildduck/queue-listing.ts');
  return openWildduckQueueListing({ ...cluster(settings), clock, onFault });
}

/** Opens a store to be moved from. */
export async function openMoveSource(
  name: StoreName,
  settings: Settings,
  parts: StoreParts,
): Promise<MoveSource> {
  if (name === 'sqlite') return openSqliteSource(settings.data_dir);
  const where = cluster(settings);
  checkInstalled();
  const { openWildduckSource } = await import('./store/wildduck/move-source.ts');
  return openWildduckSource({ ...where, ...parts });
}

/** Opens a store to be moved to. */
export async function openMoveTarget(
  name: StoreName,
  settings: Settings,
  parts: StoreParts,
): Promise<MoveTarget> {
  if (name === 'sqlite') return openSqliteTarget(settings.data_dir);
  const where = cluster(settings);
  checkInstalled();
  const { openWildduckTarget } = await import('./store/wildduck/move-target.ts');
  return openWildduckTarget({ ...where, ...parts, quota: settings.max_mailbox_size });
}

/** Where the cluster is; settings/check.ts has seen to it that both are there when it is the store. */
function cluster({ mongodb_url: mongodbUrl, mongodb_database: database, redis_url: redisUrl }: Settings) {
  if (mongodbUrl === undefined || redisUrl === undefined)
    throw new Error('the store wildduck needs mongodb_url and redis_url');
  return { mongodbUrl, database, redisUrl };
}

/** Where the data is, in words for the operator: no password. */
export function placeOf(settings: Settings): string {
  return settings.store === 'sqlite' ? settings.data_dir : `the database ${settings.mongodb_database}`;
}

/** Whether there is a store to open: a cluster's is asked when it is opened. */
export function storeIsThere(settings: Settings): boolean {
  return settings.store !== 'sqlite' || existsSync(pathsOf(settings.data_dir).database);
}
