import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRegistration } from '../../src/accounts/registration.ts';
import type { RegistrationParts } from '../../src/accounts/registration.ts';
import { hour } from '../../src/clock.ts';
import { createRateLimit } from '../../src/limits/rate-limit.ts';
import { createTestClock } from '../harness/clock.ts';

describe('registration', () => {
  let dataDir: string;
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'teal-registration-'));
  });
  after(() => rm(dataDir, { recursive: true }));

  const open = (parts: Partial<RegistrationParts> = {}) =>
    createRegistration({
      dataDir,
      mode: 'open',
      refuseAutomatic: false,
      brakes: () => undefined,
      rate: undefined,
      ratePerNetwork: undefined,
      ...parts,
    });
  const password = 'x'.repeat(22);

  test('is open, closed by the setting, or closed by the file for as long as it is there', async () => {
    const registration = open();
    assert.equal(registration.mayCreate({ password, peer: '203.0.113.5' }), undefined);
    assert.equal(open({ mode: 'closed' }).mayOffer()?.kind, 'closed');
    await writeFile(join(dataDir, 'nocreate'), '');
    assert.equal(registration.mayCreate({ password, peer: '203.0.113.5' })?.kind, 'closed');
    await rm(join(dataDir, 'nocreate'));
    assert.equal(registration.mayOffer(), undefined);
  });

  test('waits while the machine is busy', () => {
    const stop = open({ brakes: () => 'the load is above max_load_1m' }).mayOffer();
    assert.deepEqual(stop, { kind: 'busy', reason: 'the load is above max_load_1m' });
  });

  test('by token: none at a first login, and at /new only for who has one; the file and the brakes hold', async () => {
    const clock = createTestClock();
    const rate = createRateLimit({ perMinute: 1, burst: 1, maxKeys: 100, clock });
    let busy: string | undefined;
    const registration = open({ mode: 'token', rate, brakes: () => busy });
    const request = { password, peer: '203.0.113.5' };
    assert.equal(registration.mayCreate(request)?.kind, 'token');
    assert.equal(registration.mayCreate({ password, peer: undefined })?.kind, 'token');
    assert.equal(registration.mayOffer()?.kind, 'token');
    assert.equal(registration.maySignUp(undefined), undefined, 'a look counts nothing');
    busy = 'the load is above max_load_1m';
    assert.deepEqual(registration.maySignUp(request.peer), { kind: 'busy', reason: busy });
    assert.equal(registration.mayOffer()?.kind, 'token', 'who has no token need not come back later');
    busy = undefined;
    assert.equal(registration.maySignUp(request.peer), undefined);
    assert.deepEqual(registration.maySignUp(request.peer), {
      kind: 'busy',
      reason: 'more than max_new_accounts',
    });
    await writeFile(join(dataDir, 'nocreate'), '');
    for (const stop of [registration.maySignUp('203.0.113.6'), registration.mayOffer()])
      assert.equal(stop?.kind, 'closed');
    await rm(join(dataDir, 'nocreate'));
    assert.equal(open({ mode: 'closed' }).maySignUp('203.0.113.6')?.kind, 'closed');
  });

  test('tells automatic sign-ups by their password of 23 characters, where it is asked to', () => {
    const automatic = { password: 'x'.repeat(23), peer: '203.0.113.5' };
    assert.equal(open().mayCreate(automatic), undefined);
    const registration = open({ refuseAutomatic: true });
    assert.equal(registration.mayCreate(automatic)?.kind, 'closed');
    assert.equal(registration.mayCreate({ ...automatic, password }), undefined);
  });

  test('counts by network and over all, for an hour, and never the people behind a gateway as one', () => {
    const clock = createTestClock();
    const perHour = (count: number) =>
      createRateLimit({ perMinute: count / 60, burst: count, maxKeys: 100, clock });
    const registration = open({ rate: perHour(8), ratePerNetwork: perHour(2) });
    const from = (peer: string) => registration.mayCreate({ password, peer })?.reason;
    const limited = 'more than max_new_accounts_per_network';
    assert.deepEqual(
      [from('203.0.113.5'), from('203.0.113.5'), from('203.0.113.5'), from('203.0.113.6')],
      [undefined, undefined, limited, undefined],
    );
    assert.deepEqual(
      [from('2001:db8::1'), from('2001:db8::2'), from('2001:db8::3')],
      [undefined, undefined, limited],
      'a /64 is one network',
    );
    assert.deepEqual(
      [from('172.17.0.1'), from('172.17.0.1'), from('172.17.0.1')],
      [undefined, undefined, undefined],
    );
    assert.equal(from('172.17.0.1'), 'more than max_new_accounts');
    assert.equal(registration.mayCreate({ password, peer: undefined }), undefined, 'the relay itself');
    assert.equal(registration.mayOffer(), undefined, 'an offer is not counted');
    clock.advance(hour);
    assert.equal(from('203.0.113.5'), undefined);
  });
});
