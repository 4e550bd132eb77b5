import type { Clock, Random } from '../../clock.ts';
import type { OnChange } from '../contract.ts';
import { createBus } from './bus.ts';
import type { Bus } from './bus.ts';
import { changesSince } from './changes-since.ts';
import type { Connection } from './connect.ts';
import { mailboxId, objectId } from './ids.ts';
import { readWildduckNotice, WILDDUCK_CHANNEL, wildduckNotice } from './wildduck-notices.ts';

export interface OpenBusParts {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: OnChange;
  readonly onFault: (where: string, error: Error) => void;
}

/** How long Redis may take to answer: it is next door, and has nothing to think about. */
const REDIS_TIMEOUT = 3000;

/** The bus of this process, with a connection of its own to listen; ended with it. */
export function openBus({ connection, clock, random, onChange, onFault }: OpenBusParts): Bus {
  const { mongo, collections, redis } = connection;
  const subscriber = connection.openRedis({
    // It begins anew at each connection, and then looks for what it missed.
    autoResubscribe: false,
    enableOfflineQueue: false,
    commandTimeout: REDIS_TIMEOUT,
    // A server that is away is tried again soon, for as long as it takes.
    retryStrategy: (times) => Math.min(100 * times, 1000),
  });
  const bus = createBus({
    publisher: redis,
    subscriber,
    // Two clusters may share a Redis server, but not a database.
    channel: `${mongo.databaseName}:teal:changes`,
    process: random(9).toString('base64url'),
    clock,
    onChange,
    onFault,
    changesSince: (position) => changesSince(mongo, position),
    highestModseqs: async (mailboxes) => {
      const ids = mailboxes.map(objectId).filter((id) => id !== undefined);
      const found = await collections.mailboxes
        .find({ _id: { $in: ids } }, { projection: { modifyIndex: 1 } })
        .toArray();
      return new Map(found.map(({ _id, modifyIndex }) => [mailboxId(_id), modifyIndex]));
    },
    // WildDuck's own sessions know nothing of our channel: they look at the journal when they are told to.
    alsoTell: (accounts) => {
      for (const account of accounts)
        redis.publish(WILDDUCK_CHANNEL, wildduckNotice(account)).catch(() => {
          // They look again with their next command.
        });
    },
    others: new Map([
      [
        WILDDUCK_CHANNEL,
        (message) => {
          const account = readWildduckNotice(message);
          if (account !== undefined)
            void bus.look(account).catch((error: unknown) => onFault('store bus', error as Error));
        },
      ],
    ]),
  });
  return bus;
}
