import { once } from 'node:events';
import type { Clock, Random } from '../../clock.ts';
import { StoreUnavailable } from '../contract.ts';
import type { OnChange } from '../contract.ts';
import { createBus } from './bus.ts';
import type { Bus } from './bus.ts';
import { changesSince } from './changes-since.ts';
import type { Connection } from './connect.ts';
import { accountId, mailboxId, objectId } from './ids.ts';
import { readWildduckNotice, WILDDUCK_CHANNEL, wildduckNotice } from './wildduck-notices.ts';

export interface OpenBusParts {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: OnChange;
  readonly onFault: (where: string, error: Error) => void;
}

/** How long Redis may take to be there when the store is opened. */
const OPENING_TIMEOUT = 5000;

/** The bus of this process, with a connection of its own to listen; ended with it. Rejects where Redis is not there. */
export async function openBus({ connection, clock, random, onChange, onFault }: OpenBusParts): Promise<Bus> {
  const { mongo, collections, redis } = connection;
  const subscriber = connection.openRedis({
    // It begins anew at each connection, and then looks for what it missed.
    autoResubscribe: false,
    enableOfflineQueue: false,
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
    accountOf: async (mailbox) => {
      const _id = objectId(mailbox);
      const found = _id && (await collections.mailboxes.findOne({ _id }, { projection: { user: 1 } }));
      return found ? accountId(found.user) : undefined;
    },
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
  const late = Promise.withResolvers<never>();
  using _timer = clock.after(OPENING_TIMEOUT, () =>
    late.reject(new StoreUnavailable('Redis does not answer')),
  );
  try {
    const commands = redis.status === 'ready' ? [] : [once(redis, 'ready')];
    await Promise.race([Promise.all([bus.ready, ...commands]), late.promise]);
  } catch (error) {
    await bus[Symbol.asyncDispose]();
    throw error;
  }
  return bus;
}
