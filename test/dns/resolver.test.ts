import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResolver, DnsMissing, DnsTrouble, ipv4Only } from '../../src/dns/resolver.ts';
import { createDnsServer } from '../harness/dns-server.ts';

test('TXT records come as their strings, over TCP where they are long, and behind a CNAME', async () => {
  await using dns = await createDnsServer();
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 5000 });
  dns.setTxt('one.test', 'short');
  dns.setTxt('two.test', ['a', 'b'], 'c');
  dns.setTxt('long.test', 'x'.repeat(3000));
  dns.add({ name: 'alias.test', type: 'CNAME', data: 'one.test' });

  assert.deepEqual(await resolver.txt('one.test'), [['short']]);
  assert.deepEqual(await resolver.txt('ONE.test'), [['short']]);
  assert.deepEqual(await resolver.txt('two.test'), [['a', 'b'], ['c']]);
  assert.deepEqual(await resolver.txt('alias.test'), [['short']]);
  assert.equal((await resolver.txt('long.test'))[0]?.join(''), 'x'.repeat(3000));
  assert.ok(dns.questions.some(({ name, over }) => name === 'long.test' && over === 'tcp'));
});

test('addresses are those of both kinds, behind a CNAME as well: all of them, or why not', async () => {
  await using dns = await createDnsServer();
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 5000 });
  const { addresses } = resolver;
  dns.add({ name: 'both.test', type: 'A', data: '192.0.2.1' });
  dns.add({ name: 'both.test', type: 'A', data: '192.0.2.2' });
  dns.add({ name: 'both.test', type: 'AAAA', data: '2001:db8::1' });
  dns.add({ name: 'www.both.test', type: 'CNAME', data: 'both.test' });
  dns.setTxt('text.test', 'no address');
  dns.fail('failing.test');
  const both = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];
  for (const name of ['both.test', 'www.both.test'])
    assert.deepEqual([...(await addresses(name))].sort(), both);
  for (const name of ['nowhere.test', 'text.test']) await assert.rejects(addresses(name), DnsMissing);
  await assert.rejects(addresses('failing.test'), DnsTrouble);

  dns.add({ name: 'six.test', type: 'AAAA', data: '2001:db8::1' });
  const old = ipv4Only(resolver);
  assert.deepEqual([...(await old.addresses('both.test'))].sort(), ['192.0.2.1', '192.0.2.2']);
  await assert.rejects(old.addresses('six.test'), DnsMissing);
  await assert.rejects(old.addresses('failing.test'), DnsTrouble);
});

test('nothing is kept: each call is a question, so that a new key is seen at once', async () => {
  await using dns = await createDnsServer();
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 5000 });
  dns.setTxt('key.test', 'old');
  assert.deepEqual(await resolver.txt('key.test'), [['old']]);
  dns.setTxt('key.test', 'new');
  assert.deepEqual(await resolver.txt('key.test'), [['new']]);
  assert.equal(dns.questions.length, 2);
});

test('a name that is not there is DnsMissing, a name that DNS fails on is DnsTrouble', async () => {
  await using dns = await createDnsServer();
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 900 });
  dns.add({ name: 'other.test', type: 'A', data: '192.0.2.1' });
  dns.fail('failing.test');
  dns.silence('silent.test');
  const cases = [
    ['nowhere.test', DnsMissing],
    ['other.test', DnsMissing],
    [`${'a'.repeat(64)}.test`, DnsMissing],
    ['failing.test', DnsTrouble],
    ['silent.test', DnsTrouble],
  ] as const;
  const started = performance.now();
  await Promise.all(
    cases.map(([name, kind]) =>
      assert.rejects(resolver.txt(name), (error) => {
        assert.ok(error instanceof kind, `${name}: ${String(error)}`);
        return true;
      }),
    ),
  );
  // Generous for a loaded machine; without the bound c-ares waits 15 s and more.
  assert.ok(performance.now() - started < 4000, 'the silent name took no longer than it may');
});

test('a server that is down is DnsTrouble, and the next one is asked', async () => {
  await using dns = await createDnsServer();
  const gone = await createDnsServer();
  await gone[Symbol.asyncDispose]();
  dns.setTxt('one.test', 'here');
  const down = createResolver({ servers: [gone.address], timeoutMs: 900 });
  await assert.rejects(down.txt('one.test'), DnsTrouble);
  const both = createResolver({ servers: [gone.address, dns.address], timeoutMs: 3000 });
  assert.deepEqual(await both.txt('one.test'), [['here']]);
});

test('a server that is no address is refused when the resolver is made', () => {
  assert.throws(() => createResolver({ servers: ['dns.example'], timeoutMs: 1000 }));
});

test('a question under way when the resolver is disposed of ends at once, as trouble', async () => {
  await using dns = await createDnsServer();
  dns.silence('silent.test');
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 60_000 });
  const asked = resolver.txt('silent.test');
  resolver[Symbol.dispose]();
  await assert.rejects(asked, DnsTrouble);
});
