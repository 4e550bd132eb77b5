/**
 * How fast a whole relay is, over TLS on loopback, clients and server on the same machine: `node test/bench/relay.ts`.
 * Absolute figures are this machine's; compare within one run.
 */
import { mail } from '../harness/encrypted-mail.ts';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

const ALONE = 300;
const CONNECTIONS = 16;
const EACH = 150;

const quantile = (sorted: readonly number[], q: number) => sorted[Math.floor(sorted.length * q)] ?? NaN;
function report(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((q) => quantile(sorted, q).toFixed(2));
  console.log(`${what.padEnd(46)} p50 ${p50} ms   p90 ${p90} ms   p99 ${p99} ms   (n=${times.length})`);
}

await using relay = await startTestRelay({
  TEAL_MAX_USER_SEND_PER_MINUTE: '100000',
  TEAL_MAX_USER_SEND_BURST_SIZE: '100000',
  TEAL_MAX_USER_RECIPIENTS_PER_HOUR: '100000000',
});
const address = (local: string) => `${local}@${relay.domain}`;
const message = (local: string) => mail({ from: `<${address(local)}>` });
const submitter = async (local: string) => {
  const smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
  await smtp.login(address(local), 'password-1');
  return smtp;
};

await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
await imap.command(`LOGIN ${address('recipient')} password-1`);
await imap.command('SELECT INBOX');
imap.write('I IDLE\r\n');
await imap.next();

await using smtp = await submitter('sender-no');
const submitted: number[] = [];
const noticed: number[] = [];
for (let n = 0; n < ALONE; n++) {
  const start = performance.now();
  const exists = imap.next().then(() => performance.now());
  await smtp.deliver(address('sender-no'), [address('recipient')], message('sender-no'));
  const answered = performance.now();
  submitted.push(answered - start);
  noticed.push((await exists) - start);
}
report('one at a time: MAIL to 250', submitted);
report('one at a time: MAIL to EXISTS at an idle client', noticed);

const senders = await Promise.all(
  Array.from({ length: CONNECTIONS }, (_, n) => submitter(`sender-${String.fromCharCode(97 + n)}a`)),
);
const loaded: number[] = [];
const began = performance.now();
await Promise.all(
  senders.map(async (one, n) => {
    const local = `sender-${String.fromCharCode(97 + n)}a`;
    for (let count = 0; count < EACH; count++) {
      const start = performance.now();
      await one.deliver(address(local), [address(local)], message(local));
      loaded.push(performance.now() - start);
    }
  }),
);
const seconds = (performance.now() - began) / 1000;
report(`${CONNECTIONS} connections at once: MAIL to 250`, loaded);
console.log(`${CONNECTIONS} connections at once: ${Math.round(loaded.length / seconds)} messages a second`);
for (const one of senders) await one[Symbol.asyncDispose]();
