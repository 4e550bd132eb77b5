import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayAddresses, reverseName } from '../../src/dns/addresses.ts';
import { isPublicAddress } from '../../src/dns/public-address.ts';
import { issuerOf, wantedRecords } from '../../src/dns/records.ts';
import type { ZoneFacts } from '../../src/dns/records.ts';
import { stsId, stsPolicy } from '../../src/dns/sts-policy.ts';
import { dataText, formText, namesUpwards, relativeName, zoneLine } from '../../src/dns/zone.ts';

const facts: ZoneFacts = {
  domain: 'chat.example.org',
  addresses: ['192.0.2.7', '2001:db8::7'],
  ports: { submission_port: 587, submissions_port: 465, imap_port: 143, imaps_port: 993 },
  dkim: [
    { name: 'opendkim._domainkey.chat.example.org', value: 'v=DKIM1;k=rsa;p=AAAA' },
    { name: 'ed._domainkey.chat.example.org', value: 'v=DKIM1;k=ed25519;p=BBBB' },
  ],
  issuer: { authority: ['letsencrypt.org'], accountUrl: 'https://acme.example/acct/1' },
  certificateIsPublic: true,
  tlsReportAddress: 'tls@ops.example',
};

const lines = (of: ZoneFacts) =>
  wantedRecords(of).map(({ grade, name, data }) => `${grade} ${name} ${data.type} ${dataText(data)}`);

test('the zone of a public relay', () => {
  assert.deepEqual(lines(facts), [
    'must chat.example.org A 192.0.2.7',
    'should chat.example.org AAAA 2001:db8::7',
    'must chat.example.org MX 10 chat.example.org.',
    'must opendkim._domainkey.chat.example.org TXT "v=DKIM1;k=rsa;p=AAAA"',
    'should ed._domainkey.chat.example.org TXT "v=DKIM1;k=ed25519;p=BBBB"',
    'should chat.example.org TXT "v=spf1 a ~all"',
    'should _dmarc.chat.example.org TXT "v=DMARC1;p=reject;adkim=s;aspf=s"',
    `should _mta-sts.chat.example.org TXT "v=STSv1;id=${stsId(stsPolicy('chat.example.org'))}"`,
    'should mta-sts.chat.example.org CNAME chat.example.org.',
    'should chat.example.org CAA 0 issue "letsencrypt.org;accounturi=https://acme.example/acct/1"',
    'should _smtp._tls.chat.example.org TXT "v=TLSRPTv1;rua=mailto:tls@ops.example"',
    'nice www.chat.example.org CNAME chat.example.org.',
    'nice autoconfig.chat.example.org CNAME chat.example.org.',
    'nice _submissions._tcp.chat.example.org SRV 0 1 465 chat.example.org.',
    'nice _submission._tcp.chat.example.org SRV 0 1 587 chat.example.org.',
    'nice _imaps._tcp.chat.example.org SRV 0 1 993 chat.example.org.',
    'nice _imap._tcp.chat.example.org SRV 0 1 143 chat.example.org.',
  ]);
});

test('what is said of a key is true of it', () => {
  const keys = wantedRecords(facts).filter(({ role }) => role === 'dkim');
  assert.deepEqual(
    keys.map(({ grade, why }) => [grade, /refuse mail without it/.test(why)]),
    [
      ['must', true],
      ['should', false],
    ],
  );
});

test('what does not apply is not wanted: no policy and no CAA without a certificate of an authority', () => {
  const own = lines({ ...facts, issuer: undefined, certificateIsPublic: false, tlsReportAddress: undefined });
  assert.deepEqual(
    own.filter((line) => /mta-sts|CAA|_smtp\._tls/.test(line)),
    [],
  );
  assert.ok(
    lines({ ...facts, addresses: ['2001:db8::7'] }).includes('must chat.example.org AAAA 2001:db8::7'),
  );
  assert.ok(
    lines({ ...facts, issuer: issuerOf('https://acme-v02.api.letsencrypt.org/directory') }).includes(
      'should chat.example.org CAA 0 issue "letsencrypt.org"',
    ),
  );
  assert.equal(issuerOf('https://ca.internal.example/directory'), undefined);
});

test('long text is split in strings of 255 bytes for a zone file, and whole for a form', () => {
  const data = { type: 'TXT', text: `"\\${'x'.repeat(600)}` } as const;
  const strings = [...dataText(data).matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) =>
    (text ?? '').replace(/\\(.)/g, '$1'),
  );
  assert.deepEqual(
    strings.map((text) => text.length),
    [255, 255, 92],
  );
  assert.equal(strings.join(''), data.text);
  assert.equal(formText(data), data.text);
  assert.equal(zoneLine('a.example', { type: 'A', address: '192.0.2.7' }), 'a.example. 3600 IN A 192.0.2.7');
});

test('names are told relative to the zone', () => {
  assert.equal(relativeName('example.org', 'example.org'), '@');
  assert.equal(relativeName('_dmarc.chat.example.org', 'example.org'), '_dmarc.chat');
  assert.equal(relativeName('chat.badexample.org', 'example.org'), 'chat.badexample.org.');
  assert.deepEqual(namesUpwards('a.b.example.org'), ['a.b.example.org', 'b.example.org', 'example.org']);
});

test('the id of the policy changes with the policy, and with nothing else', () => {
  assert.equal(stsId(stsPolicy('a.example')), stsId(stsPolicy('a.example')));
  assert.notEqual(stsId(stsPolicy('a.example')), stsId(stsPolicy('b.example')));
  assert.match(stsId(stsPolicy('a.example')), /^[a-z0-9]{1,32}$/i);
});

test('the addresses of a relay: what machine and DNS agree on, else the machine’s, else what DNS has', () => {
  const own = ['127.0.0.1', '10.0.0.5', '8.8.4.4', '2a00::1', '2a00::2', 'fe80::1'];
  assert.deepEqual(relayAddresses(own, []), ['8.8.4.4', '2a00::1']);
  assert.deepEqual(relayAddresses(own, ['192.0.2.7', '2a00::2']), ['8.8.4.4', '2a00::2']);
  assert.deepEqual(relayAddresses(['10.0.0.5'], ['8.8.4.4']), ['8.8.4.4']);
  assert.deepEqual(relayAddresses([], []), []);
  for (const address of ['fd00::1', '2001:db8::1', '::1', '192.168.1.1', '100.64.0.1', 'nonsense'])
    assert.equal(isPublicAddress(address), false, address);
});

test('the names of addresses', () => {
  assert.equal(reverseName('192.0.2.7'), '7.2.0.192.in-addr.arpa');
  assert.equal(
    reverseName('2001:db8::567:89ab'),
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  );
  assert.equal(reverseName('::1'), `1.${'0.'.repeat(31)}ip6.arpa`);
});
