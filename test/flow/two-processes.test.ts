import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { relayOnFreePorts } from '../harness/free-ports.ts';
import { without } from '../harness/peers.ts';
import { openTestCluster, testDomain } from '../harness/relay.ts';
import type { TestCluster } from '../harness/relay.ts';
import { TealProcess } from '../harness/teal-process.ts';

/** Long enough for every wait and retry between Teal and its servers to run out. */
const AWAY_MS = 10_000;
const MESSAGES = 8;
/** How often somebody opens the app who misses something: a client alone waits up to a minute (probe.md 2.3). */
const LOOK_MS = 2000;
/** Clients wait longer and longer before they try again. */
const ARRIVAL_MS = 120_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One Teal process of several on a cluster, which can be killed and comes back on the same ports. */
class Member implements AsyncDisposable {
  readonly env: Record<string, string>;
  readonly #dir: string;
  #teal: TealProcess | undefined;

  private constructor(dir: string, env: Record<string, string>) {
    this.#dir = dir;
    this.env = env;
  }

  static async start(cluster: Record<string, string>): Promise<Member> {
    const dir = await mkdtemp(join(tmpdir(), 'teal-member-'));
    const member = new Member(dir, await relayOnFreePorts(dir, cluster));
    await member.run();
    return member;
  }

  async run(): Promise<void> {
    this.#teal = await TealProcess.start({ cwd: this.#dir, env: this.env });
  }

  async kill(): Promise<void> {
    await this.#teal?.end('SIGKILL');
  }

  get servers() {
    return {
      imapPort: Number(this.env['TEAL_IMAPS_PORT']),
      smtpPort: Number(this.env['TEAL_SUBMISSIONS_PORT']),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** Somebody with a client, who writes to one other and counts what comes. */
class Person {
  readonly #core: DeltaChat;
  readonly #id: number;
  #chat = 0;
  readonly received = new Map<string, number>();

  constructor(core: DeltaChat, id: number) {
    this.#core = core;
    this.#id = id;
  }

  get client() {
    return { core: this.#core, id: this.#id };
  }

  writesIn(chat: number): void {
    this.#chat = chat;
  }

  /** The chat with whoever sends `text` next. */
  async chatOf(text: string): Promise<number> {
    const { chatId } = await this.#core.incoming(this.#id, (each) => each === text);
    await this.#core.rpc('accept_chat', this.#id, chatId);
    return chatId;
  }

  /** Resolves when all of these texts have come. */
  async receives(texts: readonly string[]): Promise<void> {
    const missing = new Set(texts);
    await this.#core.wait(
      this.#id,
      'IncomingMsg',
      async (event) => {
        const { text } = await this.#core.rpc<{ text: string }>('get_message', this.#id, event['msgId']);
        this.received.set(text, (this.received.get(text) ?? 0) + 1);
        missing.delete(text);
        return missing.size === 0;
      },
      ARRIVAL_MS,
    );
  }

  /** Sends; resolves with a promise of the relay's acknowledgement. */
  async send(text: string): Promise<{ acknowledged: Promise<unknown> }> {
    const sending = this.#core.rpc<number>('misc_send_text_message', this.#id, this.#chat, text);
    const matches = async (event: Record<string, unknown>) => event['msgId'] === (await sending);
    const acknowledged = this.#core.wait(this.#id, 'MsgDelivered', matches, ARRIVAL_MS);
    await sending;
    return { acknowledged };
  }

  /** What an app does when it is opened, or the network changes: the client tries again at once. */
  async looksAgain(): Promise<void> {
    await this.#core.rpc('maybe_network');
  }
}

describe(
  'two Teal processes on one cluster, a real client on each',
  { skip: withoutCore('newest') || without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  () => {
    const open = new AsyncDisposableStack();
    let cluster: TestCluster;
    let first: Member;
    let alice: Person;
    let bob: Person;

    before(async () => {
      cluster = open.use(await openTestCluster());
      // At the same moment, on an empty database.
      const members = [Member.start(cluster.env), Member.start(cluster.env)] as const;
      for (const started of await Promise.allSettled(members))
        if (started.status === 'fulfilled') open.use(started.value);
      first = await members[0];
      const second = await members[1];
      const [coreOfAlice, coreOfBob] = [open.use(await DeltaChat.start()), open.use(await DeltaChat.start())];
      const account = (core: DeltaChat, name: string, member: Member) =>
        core.account(`${name}@${testDomain}`, 'a long password', member.servers);
      alice = new Person(coreOfAlice, await account(coreOfAlice, 'alicefrst', first));
      bob = new Person(coreOfBob, await account(coreOfBob, 'bobsecond', second));
      // No pause between messages: what breaks shall find some on their way.
      for (const { client } of [alice, bob])
        await client.core.rpc('batch_set_config', client.id, { bot: '1' });
    });
    after(() => open.disposeAsync());

    test('they meet', async () => {
      bob.writesIn(await secureJoin(alice.client, bob.client));
      const chat = alice.chatOf('hello from the other process');
      await bob.send('hello from the other process');
      alice.writesIn(await chat);
    });

    /** Both write all the time, while `breakIt` happens; all of it arrives, once, and is acknowledged. */
    const chatWhile = async (what: string, breakIt: () => Promise<void>) => {
      const texts = (name: string) => Array.from({ length: MESSAGES }, (_, n) => `${what} ${n} of ${name}`);
      const arrived = Promise.all([alice.receives(texts('bob')), bob.receives(texts('alice'))]);
      const acknowledged: Promise<unknown>[] = [];
      const [ofAlice, ofBob] = [texts('alice'), texts('bob')];
      const sendSome = async (from: number, to: number) => {
        for (let n = from; n < to; n += 1) {
          acknowledged.push((await alice.send(ofAlice[n]!)).acknowledged);
          acknowledged.push((await bob.send(ofBob[n]!)).acknowledged);
        }
      };
      await sendSome(0, MESSAGES / 2);
      // One is through, the others are anywhere between client and database.
      await acknowledged[0];
      const broken = breakIt();
      await sendSome(MESSAGES / 2, MESSAGES);
      await broken;
      const looking = setInterval(
        () => void Promise.all([alice, bob].map((one) => one.looksAgain())),
        LOOK_MS,
      );
      try {
        await Promise.all(acknowledged);
        await arrived;
      } finally {
        clearInterval(looking);
      }
      for (const [person, expected] of [[alice, ofBob] as const, [bob, ofAlice] as const])
        for (const text of expected) assert.equal(person.received.get(text), 1, text);
    };

    test('they chat, each on a process of their own', () => chatWhile('in peace', async () => {}));

    test('one process is killed in the middle, and started again', () =>
      chatWhile('killed', async () => {
        await first.kill();
        await first.run();
      }));

    test('Redis and the database are away for ten seconds', () =>
      chatWhile('away', async () => {
        await cluster.stop();
        await pause(AWAY_MS);
        await cluster.resume();
      }));

    test('and again in peace', () => chatWhile('afterwards', async () => {}));
  },
);
