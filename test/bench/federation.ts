/**
 * How fast mail leaves: two relays and a receiver of 500 names in one process, over TLS on loopback:
 * `node test/bench/federation.ts`. Absolute figures are this machine's; compare within one run.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { mail } from '../harness/encrypted-mail.ts';
import { createFederation } from '../harness/federation.ts';
import { connectImap } from '../harness/imap-client.ts';
import { selfSigned } from '../harness/self-signed.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

const ALONE = 200;
const MESSAGES = 2000;
const DESTINATIONS = 500;
const SUBMITTERS = 8;
const DEAD_ROWS = 100_000;

const generous = {
  TEAL_MAX_USER_SEND_PER_MINUTE: '100000',
  TEAL_MAX_USER_SEND_BURST_SIZE: '100000',
  TEAL_MAX_USER_RECIPIENTS_PER_HOUR: '100000000',
};
const quantile = (sorted: readonly number[], q: number) => sorted[Math.floor(sorted.length * q)] ?? NaN;
function report(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((q) => quantile(sorted, q).toFixed(2));
  console.log(`${what.padEnd(58)} p50 ${p50} ms   p90 ${p90} ms   p99 ${p99} ms   (n=${times.length})`);
}

/** Takes everything at once and counts it; of each message the time of its arrival. */
async function startSink() {
  let count = 0;
  let wanted = Infinity;
  let all = () => {};
  const { key, cert } = await selfSigned('_sink.test');
  const server = new SMTPServer({
    key,
    cert,
    authOptional: true,
    disabledCommands: ['AUTH'],
    onData(stream, _session, done) {
      stream.resume();
      stream.on('end', () => {
        count += 1;
        if (count >= wanted) all();
        done();
      });
    },
  });
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    /** Resolves when so many more have come. */
    more(messages: number): Promise<void> {
      wanted = count + messages;
      return new Promise((resolve) => (all = resolve));
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** One after the other on few connections, so that the queue is never empty. */
async function submitAll(port: number, sender: string, recipients: readonly string[]): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: SUBMITTERS }, async () => {
      await using smtp = await connectSmtp({ port, tls: true });
      await smtp.login(sender, 'password-1');
      for (let at = next++; at < recipients.length; at = next++)
        await smtp.deliver(sender, [recipients[at] ?? ''], mail({ from: `<${sender}>` }));
    }),
  );
}

for (const way of ['mxdeliv', 'smtp'] as const) {
  await using federation = await createFederation(['one.test', 'two.test']);
  const env = { ...generous, ...(way === 'smtp' ? { TEAL_HTTPS_PORT: 'off' } : {}) };
  const one = await federation.relay('one.test', env);
  const two = await federation.relay('two.test', env);
  const [alice, bob] = ['alicealic@one.test', 'bobbybobb@two.test'];
  await using imap = await connectImap({ port: two.ports.imaps_port, tls: true });
  await imap.command(`LOGIN ${bob} password-1`);
  await imap.command('SELECT INBOX');
  imap.write('I IDLE\r\n');
  await imap.next();
  await using smtp = await connectSmtp({ port: one.ports.submissions_port, tls: true });
  await smtp.login(alice, 'password-1');
  const noticed: number[] = [];
  for (let n = 0; n < ALONE; n++) {
    const exists = imap.next();
    const start = performance.now();
    await smtp.deliver(alice, [bob], mail({ from: `<${alice}>` }));
    await exists;
    noticed.push(performance.now() - start);
  }
  report(`by ${way}, one at a time: MAIL to EXISTS at the other relay`, noticed);
}

await using sink = await startSink();
const hosts = Array.from({ length: DESTINATIONS }, (_, n) => `d${n}.test`);
/** Found in DNS, and nobody listens. */
const dead = Array.from({ length: 50 }, (_, n) => `dead${n}.test`);
await using federation = await createFederation(['one.test']);
for (const host of [...hosts, ...dead])
  federation.dns.add({ name: host, type: 'A', ttl: 60, data: '127.0.0.1' });
for (const host of hosts) federation.places.set(host, { smtp: sink.port });
const relay = await federation.relay('one.test', {
  ...generous,
  TEAL_TLS_UNVERIFIED_DOMAINS: hosts.join(' '),
});
const sender = 'alicealic@one.test';
for (const [what, recipients] of [
  ['one destination', Array.from({ length: MESSAGES }, (_, n) => `u${n}@d0.test`)],
  [
    `${DESTINATIONS} destinations`,
    Array.from({ length: MESSAGES }, (_, n) => `u${n}@${hosts[n % hosts.length]}`),
  ],
] as const) {
  const all = sink.more(recipients.length);
  const start = performance.now();
  await submitAll(relay.ports.submissions_port, sender, recipients);
  const submitted = performance.now() - start;
  await all;
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `${MESSAGES} messages to ${what}: ${Math.round(MESSAGES / seconds)} a second ` +
      `(all accepted after ${(submitted / 1000).toFixed(1)} s, delivered after ${seconds.toFixed(1)} s)`,
  );
}

// A queue full of mail for the dead does not hold up the living.
const account = await relay.store.accounts.find(sender);
if (!account) throw new Error('no account');
const rows = Array.from({ length: DEAD_ROWS }, (_, n) => ({
  address: `u${n}@${dead[n % dead.length]}`,
  destination: dead[n % dead.length] ?? '',
}));
for (let at = 0; at < rows.length; at += 1000)
  await relay.store.accept({
    now: Date.now(),
    message: mail({ from: `<${sender}>` }),
    headerSize: 100,
    deliveries: [],
    outgoing: { sender, recipients: rows.slice(at, at + 1000) },
  });
await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
await smtp.login(sender, 'password-1');
async function beside(what: string): Promise<void> {
  const behind: number[] = [];
  for (let n = 0; n < ALONE; n++) {
    const arrived = sink.more(1);
    const start = performance.now();
    await smtp.deliver(sender, [`x@d${n % 5}.test`], mail({ from: `<${sender}>` }));
    await arrived;
    behind.push(performance.now() - start);
  }
  report(`one at a time beside ${DEAD_ROWS} rows for the dead${what}: MAIL to arrival`, behind);
}
await beside(', at their first try');
const isDue = async () =>
  (await relay.store.queue.destinations(2 * dead.length)).some(({ nextDue }) => nextDue <= Date.now());
while (await isDue()) await new Promise((resolve) => setTimeout(resolve, 100));
await beside(', waiting');
