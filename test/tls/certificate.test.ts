import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createCertificate } from '../../src/tls/certificate.ts';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { selfSigned } from '../harness/self-signed.ts';

describe('the certificate of all listeners', () => {
  let one: KeyPair;
  let two: KeyPair;
  before(async () => {
    [one, two] = await Promise.all([selfSigned('_one.test'), selfSigned('_two.test')]);
  });

  test('a new pair is told to every listener in the same tick, until it stops listening', () => {
    const certificate = createCertificate(one);
    assert.equal(certificate.pair, one);
    const heard: string[] = [];
    const stop = certificate.onReplace((pair) => heard.push(pair === two ? 'a two' : 'a one'));
    certificate.onReplace(() => heard.push('b'));
    certificate.replace(two);
    assert.equal(certificate.pair, two);
    stop();
    stop();
    certificate.replace(one);
    assert.deepEqual(heard, ['a two', 'b', 'b']);
  });

  test('a pair that does not fit is refused, and the old one stays', () => {
    assert.throws(() => createCertificate({ key: one.key, cert: two.cert }));
    const certificate = createCertificate(one);
    certificate.onReplace(() => assert.fail('nobody hears of it'));
    for (const pair of [
      { key: one.key, cert: two.cert },
      { key: 'no key', cert: two.cert },
      { key: two.key, cert: '' },
      { key: two.key, cert: `${two.cert}\n${one.cert.slice(0, 200)}\n-----END CERTIFICATE-----\n` },
    ]) {
      assert.throws(() => certificate.replace(pair));
    }
    assert.equal(certificate.pair, one);
  });

  test('a listener that throws keeps the pair from nobody; its error comes afterwards', () => {
    const certificate = createCertificate(one);
    const heard: KeyPair[] = [];
    certificate.onReplace(() => {
      throw new Error('cannot');
    });
    certificate.onReplace((pair) => heard.push(pair));
    assert.throws(() => certificate.replace(two), AggregateError);
    assert.deepEqual(heard, [two]);
    assert.equal(certificate.pair, two);
  });
});
