import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import * as x509 from '@peculiar/x509';
import { certificateParts } from '../../src/outbound/certificate-parts.ts';
import { MAX_CHAIN, mismatch, usableRecords } from '../../src/outbound/tlsa.ts';
import { makeCertificate } from '../harness/certificate-chain.ts';
import type { Issued, Wish } from '../harness/certificate-chain.ts';

const day = 24 * 3600 * 1000;
const now = Date.now();
const names = ['mx.test', 'chat.test'];

/** A record for a certificate: usage, selector and matching type as they are written, `3 1 1`. */
function record(text: string, { raw, publicKey }: X509Certificate) {
  const [usage = 0, selector = 0, matchingType = 0] = text.split(' ').map(Number);
  const bytes = selector === 0 ? raw : publicKey.export({ type: 'spki', format: 'der' });
  const hash = (name: string) => createHash(name).update(bytes).digest();
  const data = matchingType === 0 ? Buffer.from(bytes) : hash(matchingType === 1 ? 'sha256' : 'sha512');
  return { usage, selector, matchingType, data };
}

const all = ['0', '1'].flatMap((selector) => ['0', '1', '2'].map((matching) => `${selector} ${matching}`));

async function chainOf(wish: Partial<Wish> = {}, ofRoot: Partial<Wish> = {}, ofMiddle: Partial<Wish> = {}) {
  const root = await makeCertificate({ name: 'root', authority: true, ...ofRoot });
  const middle = await makeCertificate({ name: 'middle', authority: true, by: root, ...ofMiddle });
  const own = await makeCertificate({ name: 'mx.test', by: middle, ...wish });
  return { root, middle, own, chain: [own, middle, root].map(({ certificate }) => certificate) };
}

const judge = (text: string, of: Issued, chain: readonly X509Certificate[], called = names) =>
  mismatch([record(text, of.certificate)], { chain, names: called, now });

test('DANE-EE: the certificate or its key, whole or hashed, whoever issued it', async () => {
  for (const algorithm of ['ECDSA', 'RSA', 'Ed25519'] as const) {
    const own = await makeCertificate({ name: 'mx.test', algorithm });
    const other = await makeCertificate({ name: 'mx.test', algorithm });
    for (const form of all) {
      assert.equal(judge(`3 ${form}`, own, [own.certificate]), undefined, `${algorithm} 3 ${form}`);
      assert.match(judge(`3 ${form}`, other, [own.certificate]) ?? '', /^no record names/);
    }
  }
});

test('DANE-EE: name and dates say nothing (RFC 7672 3.1.1)', async () => {
  const own = await makeCertificate({ name: 'other.test', notAfter: new Date(now - day) });
  assert.equal(judge('3 1 1', own, [own.certificate]), undefined);
});

test("DANE-EE is for the server's own certificate, DANE-TA for one that issued it", async () => {
  const { own, middle, root, chain } = await chainOf();
  assert.match(judge('3 1 1', middle, chain) ?? '', /^no record names/);
  assert.match(judge('2 1 1', own, chain) ?? '', /^no record names/);
  for (const form of all)
    for (const anchor of [middle, root]) assert.equal(judge(`2 ${form}`, anchor, chain), undefined);
  assert.equal(
    judge('2 1 1', middle, chain.slice(0, 2)),
    undefined,
    'what stands above the anchor is not needed',
  );
  assert.match(
    judge('2 1 1', root, chain.slice(0, 2)) ?? '',
    /^no record names/,
    'an anchor that is not shown',
  );
});

test('DANE-TA: the name must be right, the one of the host or of the destination', async () => {
  const { root, chain } = await chainOf();
  assert.equal(judge('2 0 1', root, chain, ['other.test', 'mx.test']), undefined);
  assert.match(judge('2 0 1', root, chain, ['other.test']) ?? '', /^its certificate is not for other.test/);
});

test('DANE-TA: every certificate up to the anchor must be good', async () => {
  const cases: [RegExp, Awaited<ReturnType<typeof chainOf>>][] = [
    [/expired/, await chainOf({ notAfter: new Date(now - day) })],
    [/expired/, await chainOf({}, {}, { notAfter: new Date(now - day) })],
    [/expired/, await chainOf({}, { notAfter: new Date(now - day) })],
    [/may not vouch/, await chainOf({}, {}, { authority: false })],
    [/may not vouch/, await chainOf({}, { pathLength: 0 })],
    [
      /may not vouch/,
      await chainOf({}, {}, { authority: false, extensions: [new x509.BasicConstraintsExtension(false)] }),
    ],
    [
      /vouch/,
      await chainOf({}, {}, { extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.cRLSign, true)] }),
    ],
    [
      /conditions/,
      await chainOf(
        {},
        {},
        { extensions: [new x509.Extension('2.5.29.30', true, Buffer.from('3000', 'hex'))] },
      ),
    ],
    [
      /conditions/,
      await chainOf({ extensions: [new x509.Extension('1.2.3.4', true, Buffer.from('0500', 'hex'))] }),
    ],
    [
      /not for servers/,
      await chainOf({ extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])] }),
    ],
  ];
  for (const [why, { root, chain }] of cases) assert.match(judge('2 1 1', root, chain) ?? 'fits', why);

  const good = [
    await chainOf({}, { pathLength: 1 }, { pathLength: 0 }),
    await chainOf({ extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])] }),
    await chainOf(
      {},
      {},
      { extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)] },
    ),
    await chainOf({ extensions: [new x509.Extension('1.2.3.4', false, Buffer.from('0500', 'hex'))] }),
  ];
  for (const { root, chain } of good) assert.equal(judge('2 1 1', root, chain), undefined);
});

test('DANE-TA: who only writes the name of the anchor on a certificate is not its child', async () => {
  const { root, chain } = await chainOf();
  const false_ = await makeCertificate({ name: 'root', authority: true });
  const forged = await makeCertificate({ name: 'mx.test', by: false_ });
  assert.match(judge('2 1 1', root, [forged.certificate, root.certificate]) ?? '', /do not vouch/);
  assert.match(judge('2 1 1', root, [forged.certificate, ...chain.slice(1)]) ?? '', /do not vouch/);
});

test('one record that fits is enough; none that was shown is none', async () => {
  const { own, root, chain } = await chainOf();
  const other = await makeCertificate({ name: 'mx.test' });
  const records = [record('3 1 1', other.certificate), record('2 0 1', root.certificate)];
  assert.equal(mismatch(records, { chain, names, now }), undefined);
  assert.equal(mismatch(records, { chain: [], names, now }), 'it showed no certificate');
  assert.notEqual(mismatch([], { chain: [own.certificate], names, now }), undefined);
});

test('a chain without end is looked at up to its bound', async () => {
  const { own, middle, root } = await chainOf();
  const long = [own, ...Array<Issued>(MAX_CHAIN - 1).fill(middle), root].map(
    ({ certificate }) => certificate,
  );
  assert.match(judge('2 1 1', root, long) ?? '', /^no record names/);
});

test('records that cannot be used are left out: of other usages, selectors, matching types and sizes', async () => {
  const { certificate } = await makeCertificate({ name: 'mx.test' });
  const good = record('3 1 1', certificate);
  const useless = [
    record('0 1 1', certificate),
    record('1 1 1', certificate),
    { ...good, usage: 4 },
    { ...good, usage: 255 },
    { ...good, selector: 2 },
    { ...good, matchingType: 3 },
    { ...good, data: good.data.subarray(1) },
    { ...good, matchingType: 2 },
    { ...good, matchingType: 0, data: Buffer.alloc(0) },
  ];
  assert.deepEqual(usableRecords(useless), []);
  assert.deepEqual(usableRecords([...useless, good]), [good]);
});

test('the strongest digest of a kind counts, so that a weak one cannot be used to get in (RFC 7671 9)', async () => {
  const { certificate } = await makeCertificate({ name: 'mx.test' });
  const [weak, strong, whole] = ['3 1 1', '3 1 2', '3 1 0'].map((text) => record(text, certificate));
  const another = record('3 0 1', certificate);
  const anchor = record('2 1 1', certificate);
  assert.deepEqual(usableRecords([weak!, strong!, whole!, another, anchor]), [
    strong,
    whole,
    another,
    anchor,
  ]);
});

test('the parts of a certificate are those that node finds; what is none has none', async () => {
  for (const algorithm of ['ECDSA', 'RSA', 'Ed25519'] as const) {
    const { certificate } = await makeCertificate({ name: 'mx.test', algorithm });
    const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
    assert.deepEqual(certificateParts(certificate.raw)?.publicKey, key);
  }
  const {
    certificate: { raw },
  } = await makeCertificate({ name: 'mx.test' });
  for (let length = 0; length < raw.length; length += 7)
    assert.equal(certificateParts(raw.subarray(0, length)), undefined);
  for (const bytes of [
    '30',
    '3080',
    '30ff',
    '308904ffffffffffffffff',
    '3000',
    '3003300100',
    `30${'84ffffffff'}`,
  ])
    assert.equal(certificateParts(Buffer.from(bytes, 'hex')), undefined);
});
