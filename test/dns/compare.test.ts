import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compareCaa } from '../../src/dns/compare-caa.ts';
import { compareSpf } from '../../src/dns/compare-spf.ts';
import { compareDkim, compareDmarc, compareSts, compareTlsReport } from '../../src/dns/compare-tags.ts';
import { compare } from '../../src/dns/compare.ts';
import type { CompareContext } from '../../src/dns/compare.ts';
import { wantedRecords } from '../../src/dns/records.ts';
import type { Verdict } from '../../src/dns/verdict.ts';
import type { RecordData } from '../../src/dns/zone.ts';

type Case = readonly [what: string, have: readonly string[], state: Verdict['state'], note?: RegExp];

function table(name: string, judge: (have: readonly string[]) => Verdict, cases: readonly Case[]): void {
  describe(name, () => {
    for (const [what, have, state, note] of cases)
      test(what, () => {
        const verdict = judge(have);
        assert.equal(verdict.state, state, verdict.notes.join());
        if (note === undefined) assert.deepEqual(verdict.notes, []);
        else assert.match(verdict.notes.join(), note);
      });
  });
}

const KEY = 'v=DKIM1;k=rsa;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A;s=email;t=s';

table('DKIM', (have) => compareDkim(KEY, have), [
  ['to the letter', [KEY], 'ok'],
  [
    'white space, order and a semicolon at the end',
    ['v=DKIM1; t=s ; s = email; p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A;'],
    'ok',
  ],
  [
    'a key with white space, where it was split',
    ['v=DKIM1; k=rsa; p=MIIBIjANBgkqh+/ kiG9w0BAQEFAAOCAQ8A'],
    'ok',
  ],
  ['only what is needed', ['p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A'], 'ok'],
  [
    'all services, and the hash said',
    ['v=DKIM1;h=sha256;k=RSA;s=*;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A;n=note'],
    'ok',
  ],
  ['other text beside it', ['hello', KEY], 'ok'],
  ['nothing', [], 'missing'],
  ['other text', ['hello'], 'missing'],
  [
    'quotation marks of a form',
    ['"v=DKIM1;k=rsa;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A"'],
    'differs',
    /quotation marks/,
  ],
  ['another key', ['v=DKIM1;k=rsa;p=AAAA'], 'differs', /another key$/],
  [
    'a key in another case: base64 has two',
    ['v=DKIM1;p=miibijanbgkqh+/kig9w0baqefaaocaq8a'],
    'differs',
    /another key$/,
  ],
  ['a key cut off', ['v=DKIM1;k=rsa;p=MIIBIjANBgkqh+'], 'differs', /cut off/],
  ['a revoked key', ['v=DKIM1;p='], 'differs', /revoked/],
  ['two keys', [KEY, 'v=DKIM1;k=rsa;p=AAAA'], 'differs', /another key beside/],
  ['the same twice', [KEY, KEY], 'ok'],
  ['another service', ['v=DKIM1;s=tlsrpt;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A'], 'differs', /s= leaves out/],
  ['SHA-1 only', ['v=DKIM1;h=sha1;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A'], 'differs', /sha256/],
  ['another type', ['v=DKIM1;k=ed25519;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A'], 'differs', /k= must be rsa/],
  [
    'the version last',
    ['p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A;v=DKIM1'],
    'differs',
    /v=DKIM1 must come first/,
  ],
  ['on trial', ['v=DKIM1;t=y;p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A'], 'ok', /on trial/],
]);

table('DMARC', compareDmarc, [
  ['to the letter', ['v=DMARC1;p=reject;adkim=s;aspf=s'], 'ok'],
  [
    'spelled otherwise, with reports',
    ['V=dmarc1 ; aspf=S; rua=mailto:a@b.example; adkim=s; p=Reject; pct=100;'],
    'ok',
  ],
  ['other text beside it', ['hello', 'v=DMARC1;p=reject;adkim=s;aspf=s'], 'ok'],
  ['relaxed', ['v=DMARC1; p=reject'], 'ok', /adkim=s, aspf=s would be stricter/],
  ['weaker', ['v=DMARC1; p=none'], 'differs', /p=none/],
  ['for some mail only', ['v=DMARC1; p=reject; pct=50'], 'differs', /pct=50/],
  ['two policies', ['v=DMARC1; p=reject', 'v=DMARC1; p=none'], 'differs', /several/],
  ['none', ['v=spf1 -all'], 'missing'],
  ['quotation marks', ['"v=DMARC1; p=reject"'], 'differs', /quotation marks/],
]);

table('MTA-STS', compareSts, [
  ['ours', ['v=STSv1;id=51f588c2d9ed1753bafd'], 'ok'],
  ['an id of the operator', ['v=STSv1; id=202401010000;'], 'ok'],
  ['no id', ['v=STSv1;'], 'differs', /id=/],
  ['an id with a dash', ['v=STSv1; id=2024-01'], 'differs', /id=/],
  ['two', ['v=STSv1; id=1', 'v=STSv1; id=2'], 'differs', /several/],
  ['none', ['hello'], 'missing'],
]);

table('TLSRPT', (have) => compareTlsReport('v=TLSRPTv1;rua=mailto:tls@ops.example', have), [
  ['ours', ['v=TLSRPTv1; rua=mailto:TLS@ops.example'], 'ok'],
  ['another beside it', ['v=TLSRPTv1;rua=https://reports.example/x , mailto:tls@ops.example'], 'ok'],
  ['elsewhere', ['v=TLSRPTv1;rua=mailto:other@ops.example'], 'differs', /elsewhere/],
  ['none', [], 'missing'],
]);

const spf = (have: readonly string[], more: object = {}) =>
  compareSpf(have, {
    domain: 'chat.example',
    addresses: ['192.0.2.7', '2001:db8::7'],
    published: ['192.0.2.7', '2001:db8::7'],
    mailComesHere: true,
    ...more,
  });

table('SPF', spf, [
  ['ours', ['v=spf1 a ~all'], 'ok'],
  ['in capitals, with more, and stricter', ['V=SPF1 MX A ip4:198.51.100.0/24 -ALL'], 'ok'],
  ['the MX', ['v=spf1 mx -all'], 'ok'],
  ['the name', ['v=spf1 +a:Chat.Example. -all'], 'ok'],
  ['the addresses', ['v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/64 -all'], 'ok'],
  ['a modifier of others', ['v=spf1 exp=explain.example a -all'], 'ok'],
  ['other text beside it', ['hello', 'v=spf1 a ~all'], 'ok'],
  ['what would have to be looked up', ['v=spf1 include:other.example -all'], 'ok', /not looked up/],
  ['another name', ['v=spf1 redirect=other.example'], 'ok', /not looked up/],
  ['everybody', ['v=spf1 +all'], 'ok', /everybody/],
  [
    'one address left out',
    ['v=spf1 ip4:192.0.2.7 -all'],
    'differs',
    /2001:db8::7 send: add ip6:2001:db8::7, or a$/,
  ],
  ['nobody', ['v=spf1 -all'], 'differs', /add ip4:192\.0\.2\.7, or a$/],
  ['us refused first', ['v=spf1 -a +all'], 'differs', /everybody|add ip4/],
  ['nothing said of us', ['v=spf1'], 'differs', /add ip4/],
  ['two', ['v=spf1 a ~all', 'v=spf1 mx ~all'], 'differs', /several/],
  ['quotation marks', ['"v=spf1 a ~all"'], 'differs', /quotation marks/],
  ['none', ['v=DMARC1;p=reject', 'v=spf10 a'], 'missing'],
]);

test('SPF: a means what DNS has, mx only where mail comes here, and an unknown address is not refused', () => {
  assert.equal(spf(['v=spf1 a -all'], { published: ['192.0.2.7'] }).state, 'differs');
  assert.equal(spf(['v=spf1 mx -all'], { mailComesHere: false }).state, 'differs');
  const nobodyKnows = { addresses: [], published: [] };
  assert.equal(spf(['v=spf1 a -all'], nobodyKnows).state, 'ok');
  assert.equal(spf(['v=spf1 ip4:192.0.2.7 -all'], nobodyKnows).state, 'ok');
  assert.equal(spf(['v=spf1 -all'], nobodyKnows).state, 'differs');
});

describe('CAA', () => {
  const account = 'https://acme.example/acct/1';
  const judge = (values: readonly (readonly [tag: string, value: string, flags?: number])[]) =>
    compareCaa(
      values.map(([tag, value, flags = 0]) => ({ type: 'CAA' as const, tag, value, flags })),
      { authority: ['letsencrypt.org'], accountUrl: account },
    );
  const fine = `letsencrypt.org; accounturi=${account}`;

  test('spelled in any way', () => {
    for (const value of [
      fine,
      `LetsEncrypt.org;accounturi=${account}`,
      `letsencrypt.org ;  validationmethods=dns-01,http-01; accounturi=${account}`,
    ])
      assert.equal(
        judge([
          ['ISSUE', value],
          ['iodef', 'mailto:a@b.example'],
          ['issuewild', ';'],
        ]).state,
        'ok',
        value,
      );
    assert.equal(
      compareCaa([{ type: 'CAA', flags: 0, tag: 'issue', value: 'letsencrypt.org' }], {
        authority: ['letsencrypt.org'],
      }).state,
      'ok',
    );
    assert.equal(
      judge([
        ['issue', fine],
        ['issue', 'other.example'],
      ]).state,
      'ok',
    );
  });
  test('that lets more in than ours is a should, and none is missing', () => {
    assert.deepEqual(
      [
        judge([['issue', 'letsencrypt.org']]),
        judge([
          ['issue', fine],
          ['issue', 'letsencrypt.org'],
        ]),
      ].map(({ state, grade }) => [state, grade]),
      [
        ['differs', undefined],
        ['differs', undefined],
      ],
    );
    assert.equal(judge([]).state, 'missing');
    assert.equal(judge([['iodef', 'mailto:a@b.example']]).state, 'missing');
  });
  test('that keeps our authority away is a must: the certificate will run out', () => {
    for (const value of [
      'other.example',
      ';',
      'letsencrypt.org; accounturi=https://acme.example/acct/2',
      `${fine}; validationmethods=dns-01`,
    ])
      assert.deepEqual(
        [judge([['issue', value]]).state, judge([['issue', value]]).grade],
        ['differs', 'must'],
        value,
      );
    assert.equal(
      judge([
        ['issue', fine],
        ['tbs', 'x', 128],
      ]).grade,
      'must',
    );
    assert.equal(
      judge([
        ['issue', fine],
        ['iodef', 'x', 128],
      ]).state,
      'ok',
    );
  });
});

describe('records with fields of their own', () => {
  const wanted = wantedRecords({
    domain: 'chat.example',
    addresses: ['192.0.2.7'],
    ports: { submission_port: 587, submissions_port: 465, imap_port: 143, imaps_port: 993 },
    dkim: [],
    issuer: undefined,
    certificateIsPublic: true,
    tlsReportAddress: undefined,
  });
  const context: CompareContext = {
    domain: 'chat.example',
    addresses: ['192.0.2.7'],
    published: ['192.0.2.7', '2001:db8::7'],
    mailComesHere: true,
    issuer: undefined,
    reached: [],
  };
  const judge = (role: string, have: readonly RecordData[], more: Partial<CompareContext> = {}) => {
    const record = wanted.find((one) => one.role === role) ?? assert.fail(role);
    return compare(record, have, { ...context, ...more });
  };
  const mx = (preference: number, exchange: string): RecordData => ({ type: 'MX', preference, exchange });

  test('MX: any number will do, others beside it are told, others before it are wrong', () => {
    assert.deepEqual(judge('mail', [mx(0, 'chat.example')]), { state: 'ok', notes: [] });
    assert.match(
      judge('mail', [mx(20, 'backup.example'), mx(5, 'chat.example')]).notes.join(),
      /other servers for mail: backup/,
    );
    assert.equal(judge('mail', [mx(1, 'other.example'), mx(5, 'chat.example')]).state, 'differs');
    assert.equal(judge('mail', [mx(1, 'other.example')]).state, 'differs');
    assert.equal(judge('mail', [mx(0, '')]).state, 'differs');
    assert.equal(judge('mail', []).state, 'missing');
  });
  test('addresses: others beside ours are told; only another is a should, as NAT can be in front', () => {
    const a = (address: string): RecordData => ({ type: 'A', address });
    assert.deepEqual(judge('address', [a('192.0.2.7')]), { state: 'ok', notes: [] });
    assert.equal(judge('address', [a('192.0.2.8'), a('192.0.2.7')]).state, 'ok');
    assert.deepEqual(
      [judge('address', [a('192.0.2.8')])].map(({ state, grade }) => [state, grade]),
      [['differs', 'should']],
    );
    assert.equal(judge('address', []).state, 'missing');
  });
  test('an alias is where it leads', () => {
    assert.equal(judge('alias', [], { reached: ['192.0.2.7'] }).state, 'ok');
    assert.equal(judge('alias', [], { reached: ['192.0.2.7', '2001:db8::7'] }).state, 'ok');
    assert.equal(judge('alias', [], { reached: ['192.0.2.9'] }).state, 'differs');
    assert.equal(judge('alias', []).state, 'missing');
  });
  test('SRV: priority and weight are the operator’s', () => {
    const srv = (port: number, target: string): RecordData => ({
      type: 'SRV',
      priority: 7,
      weight: 9,
      port,
      target,
    });
    assert.equal(judge('service', [srv(465, 'chat.example')]).state, 'ok');
    assert.equal(judge('service', [srv(465, 'chat.example'), srv(465, 'other.example')]).state, 'ok');
    assert.equal(judge('service', [srv(466, 'chat.example')]).state, 'differs');
    assert.equal(judge('service', [srv(0, '')]).state, 'differs');
  });
});

const space = fc.constantFrom('', ' ', '  ', '\t');

test('tags in any order, with any white space, are the same record', () => {
  const rows: readonly (readonly [tags: readonly string[], judge: (have: readonly string[]) => Verdict])[] = [
    [['p=reject', 'adkim=s', 'aspf=s', 'rua=mailto:a@b.example'], (have) => compareDmarc(have)],
    [['p=MIIBIjANBgkqh+/kiG9w0BAQEFAAOCAQ8A', 'k=rsa', 's=email', 't=s'], (have) => compareDkim(KEY, have)],
  ];
  for (const [tags, judge] of rows) {
    const version = tags[0] === 'p=reject' ? 'v=DMARC1' : 'v=DKIM1';
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...tags], { minLength: tags.length }),
        space,
        space,
        fc.boolean(),
        fc.array(fc.string().filter((text) => !/v\s*=|p\s*=/i.test(text))),
        (shuffled, before, behind, ends, others) => {
          const text = [version, ...shuffled.map((tag) => tag.replace('=', `${before}=${behind}`))].join(
            `${before};${behind}`,
          );
          return judge([...others, ends ? `${text};` : text]).state === 'ok';
        },
      ),
    );
  }
});

test('no text that anybody may have in DNS breaks a comparison', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'v=spf1 ',
      'a',
      '/',
      ':',
      '-',
      'ip4:',
      'ip6:::/0 ',
      '/999',
      'v=DKIM1;',
      'p=',
      'v=DMARC1',
      ';',
      '"',
      '=',
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.array(piece).map((pieces) => pieces.join(''))), (have) => {
      for (const judge of [
        spf,
        compareDmarc,
        compareSts,
        (texts: readonly string[]) => compareDkim(KEY, texts),
        (texts: readonly string[]) => compareTlsReport('v=TLSRPTv1;rua=mailto:a@b', texts),
      ])
        assert.ok(['ok', 'missing', 'differs'].includes(judge(have).state));
      const caa = have.map((value) => ({ type: 'CAA' as const, flags: 0, tag: 'issue', value }));
      assert.ok(compareCaa(caa, { authority: ['letsencrypt.org'] }));
    }),
  );
});
