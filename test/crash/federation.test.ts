import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createRelay } from '../../src/relay.ts';
import type { StoreName } from '../../src/stores.ts';
import type { Settings } from '../../src/settings/table.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import type { LoggedEvent } from '../harness/event-log.ts';
import { testSettings } from '../harness/relay.ts';
import { selfSigned } from '../harness/self-signed.ts';
import { connectSmtp, dotStuff } from '../harness/smtp-client.ts';
import { TealProcess } from '../harness/teal-process.ts';
import { until } from '../harness/until.ts';
import { createDeliveries } from './deliveries.ts';
import { createReceiver, Executioner, isRefused, MXDELIV, SMTP, STEPS } from './receiver.ts';
import type { Receiver, Step } from './receiver.ts';

const EACH = Object.keys(STEPS) as Step[];
/** Where something is committed, and the store is cheap to start on, there is a second kill. */
const KILLS: Readonly<Record<StoreName, readonly Step[]>> = {
  sqlite: [...EACH, 'submitting', 'submitted', 'answered', 'refused', 'told'],
  wildduck: EACH,
};
const PATIENCE_MS = 30_000;
const LOOK_MS = 50;
/** Messages on their way, so that little is left to be done at the end. */
const MAX_AHEAD = 20;

const SENDER = 'alicealic@one.test';
const PASSWORD = 'a-password-of-somebody';

/** Sends message after message until the relay is gone; resolves then. */
function createSubmitter(
  executioner: Executioner,
  receiver: Receiver,
  deliveries: ReturnType<typeof createDeliveries>,
) {
  let number = 0;
  return async (port: number): Promise<string> => {
    const ahead = number - receiver.seen();
    try {
      await using smtp = await connectSmtp({ port, tls: true });
      assert.equal((await smtp.login(SENDER, PASSWORD)).code, 235);
      for (;;) {
        while (number - receiver.seen() > ahead + MAX_AHEAD && !smtp.socket.destroyed) await pause(1);
        number += 1;
        const recipients = recipientsOf(number);
        deliveries.submitted(recipients, number);
        for (const line of [`MAIL FROM:<${SENDER}>`, ...recipients.map((one) => `RCPT TO:<${one}>`)])
          assert.match((await smtp.command(line)).text, /^250 /);
        assert.equal((await smtp.command('DATA')).code, 354);
        smtp.send(dotStuff(mail({ from: `<${SENDER}>`, headers: [`X-Number: ${number}`] })));
        await executioner.step('submitting');
        const { code, text } = await smtp.reply();
        assert.equal(code, 250, text);
        deliveries.promised(recipients);
        await executioner.step('submitted');
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return String(error);
    }
  };
}

/** One or several, at one host or both; each address is used once. */
function recipientsOf(number: number): string[] {
  const [one, two, refused] = ['a', 'b', 'no'].map((name) => `${name}${number}`);
  const kinds = [
    [`${one}@${SMTP}`],
    [`${one}@${SMTP}`, `${refused}@${SMTP}`, `${two}@${SMTP}`],
    [`${refused}@${SMTP}`],
    [`${one}@${MXDELIV}`],
    [`${one}@${MXDELIV}`, `${two}@${MXDELIV}`],
    [`${refused}@${MXDELIV}`],
    [`${one}@${SMTP}`, `${two}@${MXDELIV}`],
  ];
  return kinds[Math.floor(Math.random() * kinds.length)] ?? [];
}

function environment(
  dir: string,
  receiver: Receiver,
  database: Database | undefined,
): Record<string, string> {
  const ports = ['SMTP', 'SUBMISSION', 'SUBMISSIONS', 'IMAP', 'IMAPS'];
  return {
    ...database?.env,
    // Nobody has to come back to the same port: the submitter is told.
    ...Object.fromEntries(ports.map((name) => [`TEAL_${name}_PORT`, '0'])),
    MAIL_DOMAIN: 'one.test',
    TEAL_DATA_DIR: join(dir, 'data'),
    TEAL_LISTEN_ADDRESS: '127.0.0.1',
    TEAL_TLS_EXTERNAL_CERT_AND_KEY: `${join(dir, 'cert')} ${join(dir, 'key')}`,
    TEAL_DNS_SERVERS: receiver.dns,
    TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/notify',
    TEAL_MAX_LOAD_1M: '100000',
    TEAL_MAX_USER_SEND_PER_MINUTE: '100000',
    TEAL_MAX_USER_SEND_BURST_SIZE: '100000',
    TEAL_MAX_USER_RECIPIENTS_PER_HOUR: '1000000',
    RELAY_PLACES: JSON.stringify(Object.fromEntries(receiver.places)),
    RELAY_CA: receiver.trustedCa,
    // As Teal's launcher has it: half of the time of a start.
    NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/teal'),
  };
}

/** WildDuck's, with what makes time pass there: a lease of twenty minutes is over, what a dead process left is done. */
async function openDatabase() {
  const { openTestDatabase } = await import('../harness/test-database.ts');
  const { openTestWildduck } = await import('../harness/wildduck-store.ts');
  const { ObjectId } = await import('mongodb');
  const opened = await openTestDatabase();
  const { database, mongodbUrl, redisUrl, name } = opened;
  const endLeases = async () => {
    await database.collection('teal.queue').updateMany({}, { $set: { due: 0 } });
    await database
      .collection('teal.queue.destinations')
      .updateMany({}, { $set: { due: 0, version: new ObjectId() } });
  };
  return {
    env: {
      TEAL_STORE: 'wildduck',
      TEAL_MONGODB_URL: mongodbUrl,
      TEAL_REDIS_URL: redisUrl,
      TEAL_MONGODB_DATABASE: name,
    },
    endLeases,
    /** Another process comes upon it. */
    async replay() {
      await using store = await openTestWildduck({ leaseMs: 300 }, opened);
      assert.ok(store);
      const left = () => database.collection('teal.plans').countDocuments({ at: { $exists: true } });
      await until(async () => (await left()) === 0, 'what was accepted is done');
      // A last word of the dead to the database may have come after the look above.
      await endLeases();
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
type Database = Awaited<ReturnType<typeof openDatabase>>;

const eventsOf = (lines: readonly string[]) =>
  lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LoggedEvent);

onEachStore('kill -9 of a relay that sends', false, (store) => {
  const kills = KILLS[store];
  test(`${kills.length} times, at every step: what it accepted arrives or bounces, and what was settled never comes again`, async (t) => {
    await using open = new AsyncDisposableStack();
    const dir = await mkdtemp(join(tmpdir(), 'teal-crash-'));
    open.defer(() => rm(dir, { recursive: true, force: true }));
    const { cert, key } = await selfSigned('one.test');
    await writeFile(join(dir, 'cert'), cert);
    await writeFile(join(dir, 'key'), key);
    const database = store === 'wildduck' ? open.use(await openDatabase()) : undefined;
    const executioner = new Executioner();
    const deliveries = createDeliveries();
    const receiver = open.use(await createReceiver(executioner));
    const env = environment(dir, receiver, database);

    const submit = createSubmitter(executioner, receiver, deliveries);
    for (const [index, step] of kills.entries()) {
      const program = join(import.meta.dirname, 'relay-child.ts');
      const child = open.use(await TealProcess.start({ cwd: dir, env, program }));
      const killed = executioner.at(step, child);
      const submitting = submit(child.ports.submissions_port);
      const broken = submitting.then((why) => (executioner.waits ? why : killed.then(() => undefined)));
      const came = await Promise.race([killed, broken, pause(PATIENCE_MS, 'too late', { ref: false })]);
      if (came !== undefined) await child.end('SIGKILL');
      assert.equal(came, undefined, `${step}: ${child.lines.slice(-20).join('\n')}`);
      await submitting;
      await receiver.isLeft();
      deliveries.lived(index + 1, ...receiver.news(), eventsOf(child.lines));
      await database?.endLeases();
    }

    const unsettled = deliveries.unsettled();
    await database?.replay();
    await bringHome(testSettings(dir, env), receiver, deliveries, kills.length + 1);
    assert.deepEqual(deliveries.unsettled(), unsettled, 'what is not killed settles everything');
    const { recipients, promised, bounces, twice, bouncedTwice } = deliveries.verify(isRefused);
    t.diagnostic(`${recipients} recipients, ${promised} acknowledged, ${bounces} bounces`);
    t.diagnostic(`taken and not settled at a kill: ${unsettled.taken}; came twice: ${twice}`);
    t.diagnostic(`refused and not settled at a kill: ${unsettled.refused}; bounced twice: ${bouncedTwice}`);
    assert.ok(promised > 3 * kills.length && bounces > kills.length, 'there was load');
    assert.ok(unsettled.taken > 0 && unsettled.refused > 0, 'something was under way');
  });
});

/** A last relay, which nobody kills, does what is left; then the sender's mailbox is read. */
async function bringHome(
  settings: Settings,
  receiver: Receiver,
  deliveries: ReturnType<typeof createDeliveries>,
  life: number,
): Promise<void> {
  const { dialler, trustedCa } = receiver;
  const log = createEventLog();
  {
    await using relay = await createRelay(settings, { log: log.log, dialler, trustedCa });
    const end = performance.now() + PATIENCE_MS;
    // A look goes through all rows: not at every turn of the loop.
    for (; (await relay.store.queue.destinations(10)).length > 0; await pause(LOOK_MS))
      assert.ok(performance.now() < end, 'mail waits, and nothing sends it');
    const account = await relay.store.accounts.find(SENDER);
    assert.ok(account);
    const inbox = await relay.store.mailboxes.find(account.id, 'INBOX');
    assert.ok(inbox);
    for (const uid of (await relay.store.messages.snapshot(inbox.id))?.uids ?? []) {
      await using body = await relay.store.messages.body(inbox.id, uid);
      assert.ok(body);
      const text = (await body.read(0, body.size)).toString('latin1').replaceAll('\r\n ', ' ');
      const [, failed] = /^X-Failed-Recipients: (.*)\r$/m.exec(text) ?? [];
      assert.ok(failed, 'nothing else comes to the sender');
      deliveries.bounced(failed.split(', '));
    }
  }
  await receiver.isLeft();
  deliveries.lived(life, ...receiver.news(), log.events);
}
