import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hour, minute } from '../../src/clock.ts';
import { createEvents } from '../../src/observe/events.ts';
import { openAcme } from '../../src/tls/acme.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import { createTestClock } from '../harness/clock.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { selfSigned } from '../harness/self-signed.ts';

const domain = 'chat.example';
const directoryUrl = 'https://127.0.0.1:9/directory';

test('what failed before a restart, or in another process, is failing until nothing is due any more', async () => {
  const clock = createTestClock(Date.now());
  const values = createMemoryValues();
  const log = createEventLog();
  const pair = await selfSigned(domain);
  const failure = {
    attempts: 2,
    since: clock.now() - hour,
    last: clock.now() - minute,
    next: clock.now() + 2 * hour,
    notBefore: clock.now() + 2 * hour,
  };
  values.all.set('acme.certificate-key', pair.key);
  values.all.set('acme.failure', JSON.stringify(failure));
  await using acme = await openAcme({
    values,
    directoryUrl,
    email: undefined,
    domain,
    otherNames: async () => ({ here: [], unsure: [] }),
    clock,
    random: (bytes) => randomBytes(bytes),
    events: createEvents(log.log),
  });
  acme.start(createCertificate(await selfSigned(domain)));
  await clock.timersSet();
  assert.equal(acme.failing, true);
  assert.deepEqual(log.events, [], 'the authority asked to be left alone: nobody has tried');

  // Another process has it; what it had failed at is nobody's wish any more.
  const kept = { cert: pair.cert, names: [domain], directory: directoryUrl, issuedAt: clock.now() };
  values.all.set('acme.certificate', JSON.stringify({ ...kept, refusedUntil: {} }));
  clock.advance(minute);
  await clock.timersSet();
  assert.equal(acme.failing, false);
  await log.next('certificate-replaced');
});
