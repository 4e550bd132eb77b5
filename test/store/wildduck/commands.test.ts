import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { without } from '../../harness/peers.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';
import { sized, start, text } from '../../contract/fixture.ts';

/** More than this for one message from its arrival to its end would be a step back: docs/scale-out.md names it. */
const MOST = 25;
/** What accepting a message for one account takes, mail to other relays or not: nothing of it is for the queue. */
const ACCEPT = 6;

describe('commands to the database', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  test('a message that is accepted, read as Delta Chat reads, and deleted takes 25 at most', async (t) => {
    let steps: Record<string, string[]> = {};
    let step = '';
    await using opened = await openTestWildduck({
      onCommand: ({ commandName, command }) => {
        if (step !== '') (steps[step] ??= []).push(`${commandName} ${String(command[commandName])}`);
      },
    });
    const { store } = opened;
    const { account } = await store.accounts.create('a@example.org', 'hash', start);
    const inbox = (await store.mailboxes.find(account.id, 'INBOX'))!.id;
    const message = text('hello');
    const during = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      step = name;
      try {
        return await work();
      } finally {
        step = '';
      }
    };
    const live = async () => {
      const { deliveries } = await during('accept', () =>
        store.accept({
          now: start,
          message,
          headerSize: message.indexOf('\r\n\r\n') + 4,
          deliveries: [{ account: account.id, push: true }],
        }),
      );
      const [delivered] = deliveries;
      assert.ok(delivered?.kind === 'delivered');
      const { uid } = delivered;
      await during('select', () => store.messages.snapshot(inbox));
      await during('fetch headers', async () => {
        await store.messages.get(inbox, [uid]);
        await store.messages.headers(inbox, [uid]);
      });
      await during('fetch body', async () => {
        await store.messages.get(inbox, [uid]);
        await using body = await store.messages.body(inbox, uid);
        assert.ok((await body?.read(0, message.length))?.equals(message));
      });
      await during('store \\Deleted', () =>
        store.messages.storeFlags(inbox, [uid], { action: 'add', flags: ['\\Deleted'] }),
      );
      await during('expunge', () => store.messages.expunge(inbox, 'all'));
    };
    // The first of an account also asks where its INBOX is.
    await live();
    steps = {};
    await live();
    for (const [name, commands] of Object.entries(steps))
      t.diagnostic(`${name}: ${commands.length} (${commands.join(', ')})`);
    const all = Object.values(steps).flat().length;
    t.diagnostic(`${all} in all`);
    assert.ok(all > 10, 'commands are counted');
    assert.ok(all <= MOST, `${all} commands`);
    assert.ok((steps['accept'] ?? []).length <= ACCEPT, 'commands to accept');
    const queued = Object.values(steps)
      .flat()
      .filter((command) => /teal\.(queue|plans)/.test(command));
    assert.deepEqual(queued, [], 'nothing is asked of the queue');
  });

  test('a delivery to an account that is nearly full of young mail looks at one message, not at thousands', async () => {
    let finds: unknown[] = [];
    await using opened = await openTestWildduck({
      quota: 1000,
      onCommand: ({ commandName, command }) => {
        if (commandName === 'find' && command['find'] === 'messages') finds.push(command['limit']);
      },
    });
    const { store } = opened;
    const { account } = await store.accounts.create('a@example.org', 'hash', start);
    const deliver = () => {
      const deliveries = [{ account: account.id, push: false }];
      return store.accept({ now: start, message: sized(100), headerSize: 6, deliveries });
    };
    for (let n = 0; n < 8; n += 1) await deliver();
    finds = [];
    await deliver();
    assert.deepEqual(finds, [1]);
  });
});
