import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DnsMissing, DnsTrouble, createResolver } from '../../src/dns/resolver.ts';
import type { MailExchange } from '../../src/dns/resolver.ts';
import { Stopped } from '../../src/outbound/problem.ts';
import { findHosts, literalAddress, MAX_HOSTS } from '../../src/outbound/route.ts';
import { createDnsServer } from '../harness/dns-server.ts';

const still = (bytes: number) => Buffer.alloc(bytes);
const answering = (...records: readonly [preference: number, exchange: string][]) => ({
  mx: async (): Promise<MailExchange[]> =>
    records.map(([preference, exchange]) => ({ preference, exchange })),
});
const failing = (error: Error) => ({ mx: () => Promise.reject(error) });
const stopped = async (promise: Promise<unknown>): Promise<Stopped> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Stopped);
  return error;
};

test('an address literal is the address, and DNS is not asked', async () => {
  const nobody = failing(new Error('asked'));
  assert.deepEqual(await findHosts('[192.0.2.1]', nobody, still), ['192.0.2.1']);
  assert.deepEqual(await findHosts('[ipv6:2001:db8::1]', nobody, still), ['2001:db8::1']);
  assert.equal(literalAddress('example.org'), undefined);
});

test('by preference; among equal ones by chance', async () => {
  const resolver = answering([20, 'backup.test'], [10, 'b.test'], [10, 'a.test']);
  const draws = [3, 2, 1];
  const chance = (bytes: number) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUInt32BE(draws.shift() ?? 0);
    return buffer;
  };
  assert.deepEqual(await findHosts('x.test', resolver, chance), ['a.test', 'b.test', 'backup.test']);
  draws.push(3, 1, 2);
  assert.deepEqual(await findHosts('x.test', resolver, chance), ['b.test', 'a.test', 'backup.test']);
});

test('each host once, and not more than so many', async () => {
  const twice = answering([10, 'a.test'], [20, 'a.test'], [30, 'b.test']);
  assert.deepEqual(await findHosts('x.test', twice, still), ['a.test', 'b.test']);
  const many = answering(...Array.from({ length: 50 }, (_, n): [number, string] => [n, `h${n}.test`]));
  assert.equal((await findHosts('x.test', many, still)).length, MAX_HOSTS);
});

test('without MX records the domain is its own host', async () => {
  assert.deepEqual(await findHosts('x.test', failing(new DnsMissing('x')), still), ['x.test']);
});

test('a null MX is for ever', async () => {
  const { outcome, problem } = await stopped(findHosts('x.test', answering([0, '']), still));
  assert.equal(outcome, 'failed');
  assert.equal(problem.status, '5.1.10');
  assert.equal(problem.text, 'Recipient address has null MX');
  assert.deepEqual(
    await findHosts('x.test', answering([0, ''], [5, 'a.test']), still),
    ['a.test'],
    'RFC 7505 3',
  );
});

test('where DNS does not answer it is for now', async () => {
  const { outcome, problem } = await stopped(
    findHosts('x.test', failing(new DnsTrouble('x MX: SERVFAIL')), still),
  );
  assert.equal(outcome, 'deferred');
  assert.equal(problem.status, '4.4.3');
  assert.match(problem.text, /x\.test .*SERVFAIL/);
});

test('from a name server: MX, implicit MX, null MX, NXDOMAIN, SERVFAIL', async () => {
  await using dns = await createDnsServer();
  using resolver = createResolver({ servers: [dns.address], timeoutMs: 5000 });
  const mx = (name: string, preference: number, exchange: string) =>
    dns.add({ name, type: 'MX', ttl: 60, data: { preference, exchange } });
  mx('two.test', 20, 'second.test');
  mx('two.test', 10, 'First.test');
  mx('null.test', 0, '.');
  dns.add({ name: 'implicit.test', type: 'A', ttl: 60, data: '192.0.2.1' });
  dns.fail('fails.test');

  assert.deepEqual(await findHosts('two.test', resolver, still), ['first.test', 'second.test']);
  assert.deepEqual(await findHosts('implicit.test', resolver, still), ['implicit.test']);
  assert.equal((await stopped(findHosts('null.test', resolver, still))).problem.status, '5.1.10');
  const gone = await stopped(findHosts('gone.test', resolver, still));
  assert.deepEqual([gone.outcome, gone.problem.status], ['failed', '5.1.2']);
  assert.equal(gone.problem.text, 'Domain gone.test does not exist');
  assert.equal((await stopped(findHosts('fails.test', resolver, still))).outcome, 'deferred');
});
