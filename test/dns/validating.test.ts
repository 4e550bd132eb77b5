import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import packet from 'dns-packet';
import { systemClock, systemRandom } from '../../src/machine.ts';
import type { AskedType } from '../../src/dns/question.ts';
import { DnsTrouble } from '../../src/dns/resolver.ts';
import { createValidatingLookup } from '../../src/dns/validating.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import type { DnsServer } from '../harness/dns-server.ts';

const never = new AbortController().signal;

function lookupAt(servers: readonly Pick<DnsServer, 'address'>[], timeoutMs = 5000) {
  const lookup = createValidatingLookup({
    servers: servers.map(({ address }) => address),
    timeoutMs,
    clock: systemClock,
    random: systemRandom,
  });
  return (name: string, type: AskedType, signal = never) => lookup.ask(name, type, signal);
}

const tlsa = (name: string, certificate: Buffer) => ({
  name,
  type: 'TLSA' as const,
  ttl: 300,
  data: { usage: 3, selector: 1, matchingType: 1, certificate },
});

test('records come with what the resolver says of them: checked, or not', async () => {
  await using dns = await createDnsServer();
  const ask = lookupAt([dns]);
  const data = Buffer.alloc(32, 7);
  dns.add(tlsa('_25._tcp.mx.signed.test', data));
  dns.add(tlsa('_25._tcp.mx.plain.test', data));
  dns.sign('signed.test');

  const record = { usage: 3, selector: 1, matchingType: 1, data };
  assert.deepEqual(await ask('_25._tcp.mx.signed.test', 'TLSA'), {
    authentic: true,
    name: '_25._tcp.mx.signed.test',
    exists: true,
    tlsa: [record],
    ttl: 300_000,
  });
  const plain = await ask('_25._tcp.mx.plain.test', 'TLSA');
  assert.deepEqual([plain.authentic, plain.tlsa], [false, [record]]);
});

test('that there is none is an answer, checked or not', async () => {
  await using dns = await createDnsServer();
  const ask = lookupAt([dns]);
  dns.sign('signed.test');
  for (const [zone, authentic] of [
    ['signed.test', true],
    ['plain.test', false],
  ] as const) {
    const { ttl: _, ...answer } = await ask(`_25._tcp.${zone}`, 'TLSA');
    assert.deepEqual(answer, { authentic, name: `_25._tcp.${zone}`, exists: false, tlsa: [] });
  }
});

test('an alias into a zone that is not signed is not checked as a whole; the alias itself is', async () => {
  await using dns = await createDnsServer();
  const ask = lookupAt([dns]);
  dns.sign('signed.test');
  dns.add({ name: 'mx.signed.test', type: 'CNAME', data: 'host.plain.test', ttl: 60 });
  dns.add({ name: 'host.plain.test', type: 'A', data: '192.0.2.1', ttl: 30 });
  dns.add({ name: 'mx2.signed.test', type: 'CNAME', data: 'Host.Signed.test', ttl: 60 });
  dns.add({ name: 'host.signed.test', type: 'A', data: '192.0.2.1', ttl: 600 });

  const led = await ask('mx.signed.test', 'A');
  assert.deepEqual([led.authentic, led.name, led.ttl], [false, 'host.plain.test', 30_000]);
  const alias = await ask('mx.signed.test', 'CNAME');
  assert.deepEqual([alias.authentic, alias.exists], [true, true]);
  const within = await ask('mx2.signed.test', 'A');
  assert.deepEqual([within.authentic, within.name, within.ttl], [true, 'host.signed.test', 60_000]);
});

test('a long answer comes over TCP', async () => {
  await using dns = await createDnsServer();
  const name = '_25._tcp.mx.test';
  for (let i = 0; i < 20; i += 1) dns.add(tlsa(name, Buffer.alloc(64, i)));
  dns.sign('test');
  const { tlsa: records, authentic } = await lookupAt([dns])(name, 'TLSA');
  assert.deepEqual([records.length, authentic], [20, true]);
  assert.deepEqual(
    dns.questions.map(({ over }) => over),
    ['udp', 'tcp'],
  );
});

test('an answer with another id, or to another question, is not believed: the right one is waited for', async () => {
  await using dns = await createDnsServer();
  const ask = lookupAt([dns]);
  const name = '_25._tcp.mx.test';
  dns.add(tlsa(name, Buffer.alloc(32, 1)));
  const evil = [tlsa(name, Buffer.alloc(32, 666))];
  const forgeries: ((answer: packet.Packet) => packet.Packet)[] = [
    (answer) => ({ ...answer, id: ((answer.id ?? 0) + 1) % 0x10000, answers: evil }),
    (answer) => ({ ...answer, questions: [{ name: 'other.test', type: 'TLSA' }], answers: evil }),
    (answer) => ({ ...answer, questions: [{ name, type: 'A' }], answers: evil }),
    (answer) => ({ ...answer, questions: [], answers: evil }),
    (answer) => ({ ...answer, type: 'query', answers: evil }),
  ];
  for (const forgery of forgeries) {
    dns.forge(name, forgery);
    const { tlsa: records } = await ask(name, 'TLSA');
    assert.deepEqual(
      records.map(({ data }) => data[0]),
      [1],
      forgery.toString(),
    );
  }
  // The test itself: with everything right but the records it would have been believed.
  dns.forge(name, (answer) => ({ ...answer, answers: evil }));
  assert.equal((await ask(name, 'TLSA')).tlsa[0]?.data[0], 666 % 256);
});

test('ids differ, and so do the ports that questions come from', async () => {
  const ports = new Set<number>();
  const ids = new Set<number>();
  const udp = createSocket('udp4');
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  udp.on('message', (bytes, peer) => {
    const query = packet.decode(bytes);
    ports.add(peer.port);
    ids.add(query.id ?? 0);
    const { id = 0, questions = [] } = query;
    udp.send(packet.encode({ type: 'response', id, questions }), peer.port, peer.address);
  });
  const ask = lookupAt([{ address: `127.0.0.1:${udp.address().port}` }]);
  for (let i = 0; i < 8; i += 1) await ask('one.test', 'MX');
  udp.close();
  assert.ok(ids.size >= 7, `${ids.size} ids of 8 questions`);
  assert.ok(ports.size >= 4, `${ports.size} ports for 8 questions`);
});

test('SERVFAIL, silence and no server are trouble', async () => {
  await using dns = await createDnsServer();
  dns.fail('failing.test');
  dns.silence('silent.test');
  const ask = lookupAt([dns], 300);
  await assert.rejects(ask('failing.test', 'TLSA'), (error: Error) => {
    assert.ok(error instanceof DnsTrouble);
    assert.equal(error.message, 'failing.test TLSA: SERVFAIL');
    return true;
  });
  assert.equal(dns.questions.length, 1, 'it has answered: it is not asked again');
  await assert.rejects(ask('silent.test', 'TLSA'), DnsTrouble);
  assert.equal(dns.questions.length, 3, 'who does not answer is asked twice');
  await assert.rejects(lookupAt([{ address: '127.0.0.1:9' }])('one.test', 'TLSA'), DnsTrouble);
  await assert.rejects(lookupAt([])('one.test', 'TLSA'), DnsTrouble);
});

test('a server that the network does not lead to is trouble, and the next one is asked', async () => {
  await using dns = await createDnsServer();
  // Nobody may send there, whatever the routes of this machine: as with ENETUNREACH, connect fails at once.
  const nowhere = { address: '255.255.255.255' };
  await assert.rejects(lookupAt([nowhere])('one.test', 'TLSA'), DnsTrouble);
  dns.add({ name: 'one.test', type: 'A', data: '192.0.2.1' });
  assert.equal((await lookupAt([nowhere, dns])('one.test', 'A')).exists, true);
});

test('one server that does not answer costs a wait; who says SERVFAIL is not overruled by one that does not check', async () => {
  await using first = await createDnsServer();
  await using second = await createDnsServer();
  const ask = lookupAt([first, second], 600);
  for (const name of ['silent.test', 'failing.test', 'failing.signed.test'])
    second.add({ name, type: 'A', data: '192.0.2.1' });
  first.silence('silent.test');
  assert.equal((await ask('silent.test', 'A')).exists, true);
  first.fail('failing.test');
  await assert.rejects(ask('failing.test', 'A'), DnsTrouble);
  first.fail('failing.signed.test');
  second.sign('signed.test');
  assert.equal((await ask('failing.signed.test', 'A')).authentic, true);
});

test('an abort ends it at once', async () => {
  await using dns = await createDnsServer();
  dns.silence('silent.test');
  const stop = new AbortController();
  const asked = lookupAt([dns], 3_600_000)('silent.test', 'MX', stop.signal);
  stop.abort();
  await assert.rejects(asked, DnsTrouble);
});

test('what DNS cannot hold is not asked for, and nothing is known of it', async () => {
  await using dns = await createDnsServer();
  const ask = lookupAt([dns]);
  for (const name of [
    `${'a'.repeat(64)}.test`,
    `${'abcdefgh.'.repeat(29)}test`,
    'a..test',
    '',
    'bücher.test',
  ])
    assert.equal((await ask(name, 'TLSA')).authentic, false, name);
  assert.equal(dns.questions.length, 0);
});

test('bytes that are no answer do no harm', async () => {
  const udp = createSocket('udp4');
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  udp.on('message', (bytes, peer) => {
    const { id = 0, questions = [] } = packet.decode(bytes);
    const good = packet.encode({ type: 'response', id, questions });
    const looped = Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 52, 0, 1])]);
    const bad = [Buffer.alloc(0), Buffer.from([1]), good.subarray(0, good.length - 1), looped];
    for (const one of [...bad, good]) udp.send(one, peer.port, peer.address);
  });
  const answer = await lookupAt([{ address: `127.0.0.1:${udp.address().port}` }])('one.test', 'TLSA');
  assert.equal(answer.exists, false);
  udp.close();
});
