import assert from 'node:assert/strict';
import { test } from 'node:test';
import packet from 'dns-packet';
import { encodeQuestion, readReply } from '../../src/dns/question.ts';

const question = { id: 4711, name: '_25._tcp.mx.test', type: 'TLSA' } as const;
const response = {
  type: 'response',
  id: 4711,
  questions: [{ name: '_25._tcp.MX.test', type: 'TLSA' }],
} as const;
const reply = (more: packet.Packet) =>
  readReply(packet.encode({ ...response, questions: [...response.questions], ...more }), question);

test('a question asks for recursion and for what the resolver has checked, by AD and DO', () => {
  const sent = packet.decode(encodeQuestion(question));
  assert.deepEqual(
    [sent.type, sent.id, sent.flag_rd, sent.flag_ad, sent.flag_cd],
    ['query', 4711, true, true, false],
  );
  const [opt] = sent.additionals ?? [];
  assert.ok(opt?.type === 'OPT' && opt.flag_do);
  assert.equal(opt.udpPayloadSize, 1232);
});

test('that there is none holds for as long as the SOA record says (RFC 2308 5)', () => {
  const soa = (ttl: number, minimum: number): packet.Answer => ({
    name: 'test',
    type: 'SOA',
    ttl,
    data: { mname: 'ns.test', rname: 'admin.test', serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
  });
  const ttlOf = (more: packet.Packet) => {
    const found = reply(more);
    assert.ok(found?.kind === 'answer');
    return found.answer.ttl;
  };
  assert.equal(ttlOf({ authorities: [soa(900, 300)] }), 300_000);
  assert.equal(ttlOf({ authorities: [soa(60, 300)], flags: 3 }), 60_000);
  assert.equal(ttlOf({}), undefined);
  // RFC 2181 8.
  assert.equal(ttlOf({ authorities: [soa(0xffff_ffff, 300)] }), 0);
});

test('records of other names and types are not taken for those asked for', () => {
  const data = { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32) };
  const found = reply({
    flags: packet.AUTHENTIC_DATA,
    answers: [
      { name: '_25._tcp.other.test', type: 'TLSA', ttl: 1, data },
      { name: '_25._tcp.mx.test', type: 'A', ttl: 1, data: '192.0.2.1' },
    ],
  });
  assert.ok(found?.kind === 'answer');
  assert.deepEqual([found.answer.exists, found.answer.tlsa], [false, []]);
});

test('aliases that lead in a circle come to an end', () => {
  const found = reply({
    answers: [
      { name: '_25._tcp.mx.test', type: 'CNAME', ttl: 1, data: 'a.test' },
      { name: 'a.test', type: 'CNAME', ttl: 1, data: '_25._tcp.mx.test' },
    ],
  });
  assert.ok(found?.kind === 'answer');
  assert.equal(found.answer.exists, false);
});

test('what is cut short is to be asked for again, what failed is trouble', () => {
  assert.equal(reply({ flags: packet.TRUNCATED_RESPONSE })?.kind, 'again');
  assert.deepEqual(reply({ flags: 2 }), { kind: 'trouble', code: 'SERVFAIL' });
  assert.deepEqual(reply({ flags: 5 }), { kind: 'trouble', code: 'REFUSED' });
});
