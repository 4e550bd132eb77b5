import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { minute, second } from '../../src/clock.ts';
import { HEAD_START } from '../../src/outbound/channel.ts';
import { STEP_TIME } from '../../src/outbound/smtp-client.ts';
import type { StoreName } from '../../src/stores.ts';
import { createBlackHole } from '../harness/black-hole.ts';
import type { BlackHole } from '../harness/black-hole.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import type { DnsServer } from '../harness/dns-server.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import type { EventLog } from '../harness/event-log.ts';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { drop, flood, hang, inTurn, raw, reset, say } from '../harness/scripted-act.ts';
import type { Act } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { CertificateKind, ScriptedHosts } from '../harness/scripted-hosts.ts';
import { TAKEN } from '../harness/scripted-mxdeliv.ts';
import type { ScriptedMxdeliv } from '../harness/scripted-mxdeliv.ts';
import type { ScriptedSmtp, SmtpScript } from '../harness/scripted-smtp.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { turns, until } from '../harness/until.ts';

const PASSWORD = 'a-password-of-somebody';

/** A relay whose user writes to hosts of `hosts`, with a clock that is turned by hand. */
interface World extends AsyncDisposable {
  readonly clock: TestClock;
  readonly hosts: ScriptedHosts;
  readonly dns: DnsServer;
  readonly relay: TestRelay;
  readonly log: EventLog;
  readonly alice: string;
  /** Mail for `domain` goes to `mx.<domain>` by port 25. */
  host(domain: string, script?: SmtpScript, certificate?: CertificateKind): Promise<ScriptedSmtp>;
  /** By port 443. */
  web(domain: string, answer?: ScriptedMxdeliv['answer']): Promise<ScriptedMxdeliv>;
  /** Alice writes one message to all of them. Answers with the text that no other message has. */
  write(recipients: readonly string[]): Promise<string>;
  /** The bodies of what has come into Alice's INBOX. */
  inbox(): Promise<string[]>;
  /** What `teal queue` says of the one recipient that waits for a domain. */
  reason(domain: string): Promise<string | undefined>;
  waiting(): Promise<string[]>;
}

/** `prepare` is called before the relay is started: with its data it may have mail to bring away. */
async function createWorld(
  store: StoreName,
  dataDir?: string,
  prepare?: (host: World['host']) => Promise<unknown>,
): Promise<World> {
  await using begun = new AsyncDisposableStack();
  const clock = createTestClock(Date.now());
  const hosts = begun.use(await createScriptedHosts());
  const dns = begun.use(await createDnsServer());
  const known = new Set<string>();
  const publish = (domain: string) => {
    if (known.has(domain)) return;
    known.add(domain);
    dns.add({ name: domain, type: 'MX', ttl: 60, data: { preference: 10, exchange: `mx.${domain}` } });
  };
  const host: World['host'] = async (domain, script, certificate) => {
    publish(domain);
    const server = await hosts.smtp(`mx.${domain}`, script);
    if (certificate) server.certificate = await hosts.certificate(`mx.${domain}`, certificate);
    return server;
  };
  await prepare?.(host);
  const log = createEventLog();
  const relay = begun.use(
    await startTestRelay(
      {
        TEAL_STORE: store,
        TEAL_DNS_SERVERS: dns.address,
        TEAL_HTTPS_PORT: 'off',
        TEAL_MAX_USER_SEND_BURST_SIZE: '1000',
        ...(dataDir === undefined ? {} : { TEAL_DATA_DIR: dataDir }),
      },
      { clock, log: log.log, dialler: hosts.dialler, trustedCa: hosts.authority.cert },
    ),
  );
  const alice = `alicealic@${relay.domain}`;
  await relay.login(alice, PASSWORD, { countsAsUse: true, peer: '127.0.0.1' });
  let count = 0;
  const all = begun.move();
  return {
    clock,
    hosts,
    dns,
    relay,
    log,
    alice,
    host,
    web(domain, answer) {
      publish(domain);
      return hosts.mxdeliv(`mx.${domain}`, answer);
    },
    async write(recipients) {
      const text = `number${count++}end`;
      await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
      assert.equal((await smtp.login(alice, PASSWORD)).code, 235);
      const message = mail({ from: alice, headers: [`Message-ID: <${text}@localhost>`] });
      assert.match((await smtp.deliver(alice, recipients, message)).text, /^250 /);
      return text;
    },
    async inbox() {
      await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
      await imap.command(`LOGIN ${alice} ${PASSWORD}`);
      await imap.command('SELECT INBOX');
      const { responses } = await imap.command('UID FETCH 1:* (BODY.PEEK[])');
      return responses.flatMap(({ literals }) => literals.slice(0, 1)).map(String);
    },
    reason: async (domain) => (await relay.store.queue.rows(domain, 1))[0]?.reason,
    waiting: async () => (await relay.store.queue.destinations(1000)).map(({ destination }) => destination),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The first time `act`, and from then on what should be. */
function once(act: Act, usual: Act = say('250 2.0.0 taken')): Act {
  let done = false;
  return (socket, bottom) => {
    if (done) return usual(socket, bottom);
    done = true;
    return act(socket, bottom);
  };
}

/** Resolves when nothing has set or ended a timer for a while: all that could be begun is. */
async function quiet(clock: TestClock, looks = 8): Promise<void> {
  for (let [still, before] = [0, -1]; still < looks; still = before === clock.waiting ? still + 1 : 0) {
    before = clock.waiting;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** How a destination goes wrong, and what is said of it. */
interface Hostile {
  readonly script?: SmtpScript;
  readonly certificate?: CertificateKind;
  readonly web?: ScriptedMxdeliv['answer'];
  /** What the operator reads while it waits. */
  readonly reason: RegExp;
  /** Times that the host has the message in the end; 1 unless said. */
  readonly copies?: number;
}

const greylisted = say('451 4.7.1 greylisted, come again');
const hostile: Readonly<Record<string, Hostile>> = {
  greylists: { script: { rcpt: () => greylisted }, reason: /451 4\.7\.1 greylisted, come again/ },
  'hangs-greeting': {
    script: { greeting: hang },
    reason: /cannot be reached: its greeting took more than 60 s/,
  },
  'hangs-ehlo': { script: { ehlo: hang }, reason: /its reply to EHLO took more than 60 s/ },
  'hangs-starttls': { script: { starttls: hang }, reason: /its reply to STARTTLS took more than 60 s/ },
  'hangs-handshake': { script: { handshake: hang }, reason: /the TLS handshake took more than 20 s/ },
  'hangs-ehlo-again': { script: { secureEhlo: hang }, reason: /its reply to EHLO took more than 60 s/ },
  'hangs-mail': { script: { mail: hang }, reason: /broke: its reply to MAIL took more than 60 s/ },
  'hangs-rcpt': { script: { rcpt: () => hang }, reason: /broke: its reply to RCPT took more than 60 s/ },
  'hangs-data': { script: { data: hang }, reason: /broke: its reply to DATA took more than 120 s/ },
  'hangs-dot': {
    script: { dot: once(hang) },
    reason:
      /did not confirm the message, which it may have taken: its reply to the message took more than 600 s/,
    copies: 2,
  },
  'drops-greeting': { script: { greeting: drop }, reason: /cannot be reached: the connection was closed/ },
  'resets-rcpt': { script: { rcpt: () => reset }, reason: /the connection to .* broke: .*ECONNRESET/ },
  'drops-dot': {
    script: { dot: once(drop) },
    reason: /which it may have taken: the connection was closed/,
    copies: 2,
  },
  'resets-dot': { script: { dot: once(reset) }, reason: /which it may have taken: .*ECONNRESET/, copies: 2 },
  'garbles-dot': {
    script: { dot: once(say('OK')) },
    reason: /which it may have taken: no reply of SMTP/,
    copies: 2,
  },
  'defers-dot': {
    script: { dot: say('452 4.3.1 disk full') },
    reason: /said: 452 4\.3\.1 disk full/,
    copies: 0,
  },
  garbage: { script: { greeting: raw('HTTP/1.1 400 Bad Request\r\n\r\n') }, reason: /no reply of SMTP/ },
  endless: { script: { greeting: flood('220-welcome\r\n') }, reason: /a reply that does not end/ },
  chatters: {
    script: { secureEhlo: inTurn(say('250 hello'), flood('250 and more\r\n')) },
    reason: /gave an answer that does not fit; .* said: 250 and more/,
  },
  injects: {
    script: { starttls: say('220 go ahead', '250 hello') },
    reason: /no safe TLS with .*: it said more before TLS/,
  },
  'without-tls': {
    script: { ehlo: say('250 hello') },
    reason: /no safe TLS with .*: it does not offer STARTTLS/,
  },
  'refuses-tls': {
    script: { starttls: say('554 5.7.0 never') },
    reason: /refused STARTTLS.*said: 554 5\.7\.0 never/,
  },
  expired: { certificate: 'expired', reason: /no safe TLS with .*: certificate has expired/ },
  'wrong-name': { certificate: 'another', reason: /no safe TLS with .*altnames/ },
  'unknown-authority': { certificate: 'unknown', reason: /no safe TLS with .*: self-signed certificate/ },
  closes: {
    script: { mail: inTurn(say('421 4.3.2 maintenance'), drop) },
    reason: /said: 421 4\.3\.2 maintenance/,
  },
  'web-hangs': {
    web: () => hang,
    reason: /which it may have taken: the request took more than 300 s/,
    copies: 2,
  },
  'web-drops': { web: () => drop, reason: /which it may have taken: socket hang up/, copies: 2 },
};
const domainOf = (name: string) => `${name}.test`;

describe('hostile destinations', { timeout: 150_000 }, () => {
  describe('each in its own way, beside healthy ones', () => {
    let world: World;
    let healthy: ScriptedSmtp;
    let healthyWeb: ScriptedMxdeliv;
    let hole: BlackHole;
    const servers = new Map<string, ScriptedSmtp>();
    const webs = new Map<string, ScriptedMxdeliv>();
    const names = Object.keys(hostile);
    let first: string;

    before(async () => {
      world = await createWorld('sqlite');
      healthy = await world.host('healthy.test');
      healthyWeb = await world.web('web.test');
      for (const [name, { script, certificate, web }] of Object.entries(hostile)) {
        servers.set(name, await world.host(domainOf(name), script, certificate));
        if (web) webs.set(name, await world.web(domainOf(name), web));
      }
      hole = await createBlackHole();
      await world.host('filtered.test');
      world.hosts.places.set('mx.filtered.test:443', hole.port);
      await world.host('dark.test');
      world.hosts.places.set('mx.dark.test:443', hole.port).set('mx.dark.test:25', hole.port);
    });
    after(async () => {
      await world[Symbol.asyncDispose]();
      await hole[Symbol.asyncDispose]();
    });

    const copies = (server: ScriptedSmtp, text: string) =>
      server.transactions.filter((one) => one.text.includes(text)).length;

    test('the healthy ones have their mail before the clock has moved at all', async () => {
      const now = world.clock.now();
      first = await world.write([
        ...names.map((name) => `bob@${domainOf(name)}`),
        'bob@dark.test',
        'bob@filtered.test',
        'bob@healthy.test',
        'bob@web.test',
      ]);
      await until(() => copies(healthy, first) === 1 && healthyWeb.requests.length === 1, 'they have it');
      for (let n = 0; n < 20; n++) {
        const text = await world.write(['bob@healthy.test', `bob@${domainOf('hangs-greeting')}`]);
        await until(() => copies(healthy, text) === 1, 'it has one more');
      }
      assert.equal(world.clock.now(), now);
    });

    test('one behind a filtered 443 has it when the head start is over', async () => {
      world.clock.advance(HEAD_START);
      const [server] = [...world.hosts.places].filter(([place]) => place === 'mx.filtered.test:25');
      assert.ok(server);
      await until(() => deliveredTo('filtered.test'), 'it has it');
    });
    const deliveredTo = async (domain: string) => !(await world.waiting()).includes(domain);

    test('while the others run into their limits, the healthy one has each message at once', async () => {
      const told = () =>
        new Set(
          world.log.events
            .filter(({ event }) => event === 'mail-deferred')
            .map(({ destination }) => destination),
        );
      const end = world.clock.now() + STEP_TIME.dot + minute;
      while (world.clock.now() < end) {
        // Each step begins its time when the one before is over.
        await turns(10);
        world.clock.advance(10 * second);
        await turns(10);
        if (world.clock.now() % minute < 10 * second) {
          const text = await world.write(['bob@healthy.test']);
          await until(() => copies(healthy, text) === 1, 'it has it');
        }
      }
      const missing = names.filter((name) => !told().has(domainOf(name)));
      assert.deepEqual(missing, [], 'each was put off');
      assert.ok(told().has('dark.test'));
    });

    for (const [name, { reason }] of Object.entries(hostile)) {
      test(`${name}: the operator can read why`, async () => {
        const deferred = world.log.events.find(
          ({ event, destination }) => event === 'mail-deferred' && destination === domainOf(name),
        );
        assert.ok(deferred);
        // What the host said is in the queue alone.
        const rows = await world.relay.store.queue.rows(domainOf(name), 1);
        const texts = [String(deferred['reason']), rows[0]?.reason ?? ''];
        assert.ok(
          texts.some((text) => reason.test(text)),
          texts.join('\n'),
        );
      });
    }

    test('nobody was told that anything failed for good, and no fault was logged', async () => {
      assert.deepEqual(await world.inbox(), []);
      const bad = world.log.events.filter(({ event }) =>
        ['fault', 'mail-failed', 'store-unavailable'].includes(event),
      );
      assert.deepEqual(bad, []);
    });

    test('when they are well again everybody has the message, and none has more copies than answers were lost', async () => {
      for (const [name, server] of servers) {
        server.script = {};
        server.certificate = await world.hosts.certificate(`mx.${domainOf(name)}`, 'good');
      }
      for (const web of webs.values()) web.answer = () => TAKEN;
      await world.host('dark.test');
      world.hosts.places.delete('mx.dark.test:443');
      for (let n = 0; n < 300 && (await world.waiting()).length > 0; n++) {
        world.clock.advance(minute);
        await quiet(world.clock);
      }
      assert.deepEqual(await world.waiting(), []);
      for (const [name, { copies: expected = 1 }] of Object.entries(hostile)) {
        const byWeb = webs.get(name)?.requests.filter(({ body }) => body.includes(first)).length ?? 0;
        const had = copies(servers.get(name)!, first) + byWeb;
        if (expected === 0) assert.ok(had >= 1, name);
        else assert.equal(had, expected, name);
      }
      assert.equal(copies(healthy, first), 1);
      assert.equal(healthyWeb.requests.length, 1);
      assert.deepEqual(await world.inbox(), []);
    });

    test('no connection is left but a few that wait for more', async () => {
      world.clock.advance(2 * minute);
      for (const server of servers.values()) await until(() => server.open === 0, 'it is closed');
      assert.equal(healthy.open, 0);
    });
  });

  onEachStore('what is refused for good', false, (store) => {
    test('comes back as one bounce that says in plain words what and why; the rest arrives or waits', async () => {
      await using world = await createWorld(store);
      const { alice } = world;
      const third = await world.host('third.test', {
        rcpt: (_, place) => (place % 3 === 2 ? say('550 5.1.1 no such user here') : undefined),
      });
      await world.host('refuses.test', { dot: say('554 5.7.1 We do not like you') });
      await world.host('unwelcome.test', { greeting: say('554 5.7.1 Your address is on a list') });
      await world.host('small.test', { offers: ['SIZE 100'] });
      const odd = await world.host('odd.test', {
        rcpt: () => say('550 5.1.1 nobody'),
        data: say('354 go on, then'),
      });
      const web = await world.web('strict.test', () => ({ status: 400, body: '523 Encryption Needed' }));
      world.dns.add({ name: 'null.test', type: 'MX', ttl: 60, data: { preference: 0, exchange: '.' } });
      await world.host('greylists.test', { rcpt: () => greylisted });

      const six = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}@third.test`);
      const singles = ['refuses', 'unwelcome', 'small', 'odd', 'strict', 'null', 'gone'].map(
        (name) => `bob@${name}.test`,
      );
      const text = await world.write([...six, ...singles, 'bob@greylists.test']);
      await until(async () => (await world.inbox()).length === 8, 'all bounces have come');
      const bounces = await world.inbox();
      assert.ok(bounces.every((bounce) => bounce.includes(`<${text}@localhost>`)));
      assert.ok(bounces.every((bounce) => bounce.includes(`\r\nTo: <${alice}>\r\n`)));
      const unfolded = bounces.map((bounce) => bounce.replaceAll(/\r\n\s+/g, ' '));
      const about = (address: string) =>
        unfolded.find((bounce) => bounce.includes(`Final-Recipient: rfc822; ${address}\r\n`)) ?? '';
      for (const address of ['c@third.test', 'f@third.test'])
        assert.match(about(address), /no such user here/);
      assert.equal(about('c@third.test'), about('f@third.test'), 'one bounce for both');
      assert.equal(about('a@third.test'), '');
      assert.match(about('bob@refuses.test'), /mx\.refuses\.test said: 554 5\.7\.1 We do not like you/);
      assert.match(about('bob@unwelcome.test'), /refused the connection.*Your address is on a list/);
      assert.match(about('bob@small.test'), /takes messages of 100 bytes at most, this one has \d+/);
      assert.match(about('bob@odd.test'), /550 5\.1\.1 nobody/);
      assert.match(about('bob@strict.test'), /523 Encryption Needed/);
      assert.match(about('bob@null.test'), /null MX/);
      assert.match(about('bob@null.test'), /\r\nStatus: 5\.1\.10\r\n/);
      assert.match(about('bob@gone.test'), /Domain gone\.test does not exist/);
      assert.ok(bounces.every((bounce) => !bounce.includes('greylists')));

      assert.deepEqual(
        third.transactions.map(({ recipients }) => recipients),
        [['a@third.test', 'b@third.test', 'd@third.test', 'e@third.test']],
      );
      assert.deepEqual(odd.transactions, [], 'no empty message');
      assert.equal(web.requests.length, 1);
      await until(async () => (await world.reason('greylists.test')) !== '', 'it has been put off');
      assert.match((await world.reason('greylists.test')) ?? '', /451 4\.7\.1 greylisted/);
      // A bounce is on disk before its row goes.
      await until(async () => (await world.waiting()).join(' ') === 'greylists.test', 'nothing else waits');
    });
  });

  test('a relay is stopped at once whatever hangs, and the next start goes on', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'teal-stopped-'));
    const scripts: Readonly<Record<string, SmtpScript>> = {
      greeting: { greeting: hang },
      handshake: { handshake: hang },
      rcpt: { rcpt: () => hang },
      dot: { dot: hang },
      healthy: {},
    };
    let text: string;
    {
      await using world = await createWorld('sqlite', dataDir);
      await using hole = await createBlackHole();
      const servers: ScriptedSmtp[] = [];
      for (const [name, script] of Object.entries(scripts))
        servers.push(await world.host(domainOf(name), script));
      await world.host('dark.test');
      world.hosts.places.set('mx.dark.test:443', hole.port).set('mx.dark.test:25', hole.port);
      world.dns.silence('silent.test');
      const web = await world.web('web.test', () => hang);
      text = await world.write(
        [...Object.keys(scripts), 'dark', 'silent', 'web'].map((name) => `bob@${name}.test`),
      );
      await until(
        () => servers.every(({ connections }) => connections.length === 1) && web.requests.length === 1,
        'all are being asked',
      );
      await until(() => servers[3]?.transactions.length === 1, 'one has it and does not say so');
      await until(async () => !(await world.waiting()).includes('healthy.test'), 'one has it and said so');
      const began = performance.now();
      await world.relay[Symbol.asyncDispose]();
      // Nobody has turned the clock: what it waited for would never have come.
      assert.ok(performance.now() - began < 4000);
      for (const { open } of [...servers.slice(0, 4), web]) assert.equal(open, 0);
    }
    {
      const servers: ScriptedSmtp[] = [];
      await using world = await createWorld('sqlite', dataDir, async (host) => {
        for (const name of [...Object.keys(scripts), 'dark', 'silent', 'web'])
          servers.push(await host(domainOf(name)));
      });
      await until(async () => (await world.waiting()).length === 0, 'all have it');
      assert.deepEqual(
        servers.map(({ transactions }) => transactions.filter((one) => one.text.includes(text)).length),
        // The healthy one had it before; who had it and did not say so has it twice.
        [1, 1, 1, 1, 0, 1, 1, 1],
      );
      assert.deepEqual(await world.inbox(), []);
    }
    await rm(dataDir, { recursive: true, force: true });
  });

  test('what stays hostile to the end of its life comes back with the last reason', async () => {
    await using world = await createWorld('sqlite');
    await world.host('expired.test', {}, 'expired');
    const text = await world.write(['bob@expired.test']);
    const told = (event: string) => world.log.events.filter((one) => one.event === event).length;
    for (let tries = 1; tries < 100 && told('mail-failed') === 0; tries++) {
      const [waiting] = await world.relay.store.queue.destinations(1);
      if (waiting) world.clock.advance(waiting.nextDue - world.clock.now());
      // The queue looks once a minute in between, and may just have done so.
      for (let n = 0; n < 20 && told('mail-deferred') < tries && told('mail-failed') === 0; n++) {
        world.clock.advance(second);
        await quiet(world.clock, 2);
      }
    }
    await until(async () => (await world.inbox()).length === 1, 'the bounce has come');
    const [bounce = ''] = (await world.inbox()).map((one) => one.replaceAll(/\r\n\s+/g, ' '));
    assert.ok(bounce.includes(`<${text}@localhost>`));
    assert.match(
      bounce,
      /tried for 2 days without success, the last time: no safe TLS with mx\.expired\.test: certificate has expired/,
    );
    assert.match(bounce, /\r\nStatus: 4\.4\.7\r\n/);
  });

  test('five hundred that are dead delay none that has answered before, and a new one by two rounds of them', async () => {
    await using world = await createWorld('sqlite');
    await using hole = await createBlackHole();
    const known = await world.host('known.test');
    const fresh = await world.host('fresh.test');
    const had = (server: ScriptedSmtp, text: string) =>
      until(() => server.transactions.some((one) => one.text.includes(text)), 'it has it');
    await had(known, await world.write(['bob@known.test']));
    const dead = Array.from({ length: 500 }, (_, n) => `dead${n}.test`);
    for (const domain of dead) {
      world.dns.add({ name: domain, type: 'MX', ttl: 60, data: { preference: 0, exchange: `mx.${domain}` } });
      world.hosts.places.set(`mx.${domain}:25`, hole.port).set(`mx.${domain}:443`, hole.port);
    }
    await world.write(dead.map((domain) => `bob@${domain}`));
    await until(() => world.clock.waiting > 150, 'they are being tried');
    for (let n = 0; n < 10; n++) await had(known, await world.write(['bob@known.test']));
    const began = world.clock.now();
    const text = await world.write(['bob@fresh.test']);
    const has = () => fresh.transactions.some((one) => one.text.includes(text));
    while (!has()) {
      world.clock.advance(STEP_TIME.connect / 2);
      await quiet(world.clock);
      assert.ok(world.clock.now() - began <= 5 * STEP_TIME.connect, 'it has waited for too long');
    }
    // It has answered by now.
    for (let n = 0; n < 10; n++) {
      const now = world.clock.now();
      await had(fresh, await world.write(['bob@fresh.test']));
      assert.equal(world.clock.now(), now);
    }
  });
});
