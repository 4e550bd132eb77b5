import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { day, minute, second } from '../../src/clock.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { readKeyPair } from '../../src/tls/files.ts';
import { followFiles } from '../../src/tls/follow-files.ts';
import { createTestClock } from '../harness/clock.ts';
import { createEventLog } from '../harness/event-log.ts';
import { selfSigned } from '../harness/self-signed.ts';

const name = 'chat.example';
let pairs: KeyPair[];
let root: string;
before(async () => {
  pairs = await Promise.all([1, 2, 3].map(() => selfSigned(name)));
  root = await mkdtemp(join(tmpdir(), 'teal-follow-'));
});
after(() => rm(root, { recursive: true, force: true }));
const pair = (n: number) => pairs[n] as KeyPair;

/** As certbot has them: `live/x.pem` leads to `archive/x<n>.pem`. */
async function startFollowing() {
  const dir = await mkdtemp(join(root, 'case-'));
  await Promise.all(['live', 'archive'].map((one) => mkdir(join(dir, one))));
  const [cert, key] = [join(dir, 'live', 'cert.pem'), join(dir, 'live', 'key.pem')];
  let version = 0;
  const put = async (file: 'cert' | 'key', text: string) => {
    const target = join(dir, 'archive', `${file}${(version += 1)}.pem`);
    await writeFile(target, text);
    await symlink(target, join(dir, 'live', 'new'));
    await rename(join(dir, 'live', 'new'), join(dir, 'live', `${file}.pem`));
    return target;
  };
  const target = await put('cert', pair(0).cert);
  await put('key', pair(0).key);
  const clock = createTestClock(Date.now());
  const log = createEventLog();
  const certificate = createCertificate(await readKeyPair(cert, key));
  const events = createEvents(log.log);
  const following = followFiles({ cert, key, names: [name], certificate, clock, events });
  return {
    put,
    target,
    clock,
    log,
    certificate,
    following,
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}

/** Turns the clock second by second until it comes: the file system tells when it likes. */
async function turning<Value>(clock: { advance(ms: number): void }, coming: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => clock.advance(second), 20);
  try {
    return await coming;
  } finally {
    clearInterval(timer);
  }
}

test('a swapped symlink serves within seconds, once both files are new', async () => {
  await using at = await startFollowing();
  const started = at.clock.now();
  await at.put('cert', pair(1).cert);
  await at.put('key', pair(1).key);
  await turning(at.clock, at.log.next('certificate-replaced'));
  assert.ok(at.clock.now() - started < 30 * second, 'not by the look of every minute');
  assert.deepEqual(at.certificate.pair, pair(1));
  assert.deepEqual(
    at.log.events.map(({ event }) => event),
    ['certificate-replaced'],
  );
});

test('a change that the file system does not tell of is seen within a minute', async () => {
  await using at = await startFollowing();
  // The target of the link, in a directory that nobody watches.
  const longer = `${pair(0).cert}\n${(await selfSigned('other.example')).cert}\n`;
  await writeFile(at.target, longer);
  at.clock.advance(minute);
  await at.log.next('certificate-replaced');
  assert.equal(at.certificate.pair.cert, longer);
  assert.match(String((await at.log.next('certificate-doubtful'))['problem']), /not in order/);
});

test('a broken pair keeps the old one, is told once, and is forgotten when a good one comes', async () => {
  await using at = await startFollowing();
  await at.put('cert', pair(1).cert);
  const told = await turning(at.clock, at.log.next('certificate-files-rejected'));
  assert.match(String(told['problem']), /does not belong/);
  assert.equal(at.following.failing, true);
  assert.deepEqual(at.certificate.pair, pair(0));
  const until = at.clock.now() + day / 24;
  while (at.clock.now() < until) {
    at.clock.advance(minute);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.equal(at.log.events.length, 1, 'told once');
  await at.put('key', pair(1).key);
  await turning(at.clock, at.log.next('certificate-replaced'));
  assert.deepEqual(at.certificate.pair, pair(1));
  assert.equal(at.following.failing, false);
});
