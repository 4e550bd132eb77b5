import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTlsPolicy } from '../../src/outbound/tls-policy.ts';
import { selfSigned } from '../harness/self-signed.ts';

const policy = createTlsPolicy({ unverifiedDomains: ['listed.test'], trustedCa: undefined });

test('TLS 1.2 at least, and a certificate for the name of the host, not of the domain', () => {
  const { minVersion, rejectUnauthorized, servername } = policy('x.test', 'mx.other.test');
  assert.deepEqual([minVersion, rejectUnauthorized, servername], ['TLSv1.2', true, 'mx.other.test']);
});

test('not verified: names that start with an underscore, address literals, and what is listed', () => {
  for (const destination of ['_x.test', '[192.0.2.1]', '[ipv6:2001:db8::1]', 'listed.test']) {
    const { minVersion, rejectUnauthorized } = policy(destination, 'mx.test');
    assert.deepEqual([minVersion, rejectUnauthorized], ['TLSv1.2', false], destination);
  }
  for (const destination of ['sub.listed.test', 'x_.test', 'x._y.test', 'notlisted.test'])
    assert.equal(policy(destination, '_mx.test').rejectUnauthorized, true, destination);
});

test('an address is no server name', () => {
  assert.equal('servername' in policy('[192.0.2.1]', '192.0.2.1'), false);
});

test('roots of a test stand beside those of Node', async () => {
  const { cert } = await selfSigned('authority.test');
  const { ca } = createTlsPolicy({ unverifiedDomains: [], trustedCa: cert })('x.test', 'mx.test');
  assert.ok(Array.isArray(ca) && ca.length > 100 && ca.includes(cert));
  assert.equal('ca' in policy('x.test', 'mx.test'), false);
});
