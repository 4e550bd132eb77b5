import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DnsMissing, DnsTrouble } from '../../src/dns/resolver.ts';
import { findOtherNames } from '../../src/tls/acme-names.ts';
import { certificateSource } from '../../src/tls/source.ts';

test('the certificate comes from files, an authority or ourselves, in this order', () => {
  const files = { cert: '/c', key: '/k' };
  const cases = [
    ['chat.example', files, true, 'files'],
    ['_chat.example', files, true, 'files'],
    ['chat.example', undefined, true, 'acme'],
    ['chat.example', undefined, false, 'self-signed'],
    ['_teal.test', undefined, true, 'self-signed'],
    ['1.2.3.4', undefined, true, 'acme'],
    ['1.2.3.4', undefined, false, 'self-signed'],
    ['192.168.1.2', undefined, true, 'self-signed'],
    ['10.1.2.3', undefined, true, 'self-signed'],
    ['127.0.0.1', undefined, true, 'self-signed'],
  ] as const;
  for (const [mailDomain, given, termsAgreed, kind] of cases)
    assert.equal(certificateSource({ mailDomain, files: given, termsAgreed }).kind, kind, mailDomain);
});

test('other names count when every address of theirs is the machine’s, or one of the mail domain', async () => {
  const domain = 'chat.example';
  const zone: Record<string, readonly string[] | Error> = {
    [domain]: ['203.0.113.1', '2001:db8::1'],
    [`www.${domain}`]: ['203.0.113.1'],
    [`mta-sts.${domain}`]: ['10.0.0.1', '2001:db8::1'],
    [`autoconfig.${domain}`]: ['203.0.113.1', '203.0.113.2'],
  };
  const ask = (name: string) => {
    const answer = zone[name] ?? new DnsMissing(name);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const find = () => findOtherNames(domain, ask, ['10.0.0.1', '127.0.0.1']);

  assert.deepEqual(await find(), { here: [`www.${domain}`, `mta-sts.${domain}`], unsure: [] });
  zone[`www.${domain}`] = new DnsTrouble('www');
  assert.deepEqual(await find(), { here: [`mta-sts.${domain}`], unsure: [`www.${domain}`] });
  delete zone[`www.${domain}`];
  delete zone[domain];
  assert.deepEqual(await find(), { here: [], unsure: [] });
});
