import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { day, hour, minute } from '../../src/clock.ts';
import { failureAfter, mayTryAt, whatIsDue } from '../../src/tls/acme-due.ts';
import { AcmeProblem, AcmeUnreachable } from '../../src/tls/acme-http.ts';
import type { Failure, KeptCertificate } from '../../src/tls/acme-state.ts';
import { selfSigned } from '../harness/self-signed.ts';

const domain = 'chat.example';
const [www, sts] = [`www.${domain}`, `mta-sts.${domain}`];
const directory = 'https://ca.example/dir';

describe('what is due', () => {
  let kept: KeptCertificate;
  let from: number;
  let life: number;
  before(async () => {
    const { cert } = await selfSigned(domain);
    const { validFromDate, validToDate } = new X509Certificate(cert);
    from = validFromDate.getTime();
    life = validToDate.getTime() - from;
    kept = { cert, names: [domain, www], directory, issuedAt: from, refusedUntil: {} };
  });
  const due = (
    change: Partial<KeptCertificate> | undefined,
    now: number,
    here: readonly string[] = [www],
    unsure: readonly string[] = [],
  ) => whatIsDue(change && { ...kept, ...change }, { domain, directory, now, others: { here, unsure } });

  test('is the first certificate, one from the authority that is set now, or nothing', () => {
    assert.deepEqual(due(undefined, 0, [www, sts]), { names: [domain, sts, www], why: 'first' });
    assert.equal(due({}, from)?.why, undefined);
    assert.equal(due({ directory: 'https://staging.example/dir' }, from)?.why, 'authority');
  });

  test('is a renewal when a third of the life is left, not before, and also long after', () => {
    assert.equal(due({}, from + (life * 2) / 3 - 1), undefined);
    assert.deepEqual(due({}, from + (life * 2) / 3), { names: [domain, www], why: 'renewal' });
    assert.equal(due({}, from + 10 * life)?.why, 'renewal');
  });

  test('is no renewal of what was issued just now, whichever way a clock is wrong', () => {
    const now = from + 10 * life;
    for (const issuedAt of [now, now - 6 * hour + 1, now + hour])
      assert.equal(due({ issuedAt }, now), undefined, String(now - issuedAt));
    for (const issuedAt of [now - 6 * hour, now + 7 * hour])
      assert.equal(due({ issuedAt }, now)?.why, 'renewal', String(now - issuedAt));
  });

  test('is one more name when it leads here, unless it was refused a short while ago', () => {
    assert.deepEqual(due({}, from, [www, sts]), { names: [domain, sts, www], why: 'names' });
    assert.equal(due({ refusedUntil: { [sts]: from + 1 } }, from, [www, sts]), undefined);
    assert.equal(due({ refusedUntil: { [sts]: from } }, from, [www, sts])?.why, 'names');
  });

  test('is not one name less: that waits for the renewal, and not for a name that DNS is unsure of', () => {
    assert.equal(due({}, from, []), undefined);
    assert.deepEqual(due({}, from + life, [])?.names, [domain]);
    assert.deepEqual(due({}, from + life, [], [www, sts])?.names, [domain, www]);
    assert.deepEqual(due(undefined, from, [], [www])?.names, [domain]);
  });
});

describe('the time of the next try', () => {
  const away = new AcmeUnreachable('down');
  const problem = (status: number, retryAfter?: number) =>
    new AcmeProblem({ message: 'no', type: 'x', status, refused: new Map(), retryAfter });
  const series = (error: unknown, count: number) => {
    const waits: number[] = [];
    let failure: Failure | undefined;
    let now = 0;
    for (let n = 0; n < count; n++) {
      failure = failureAfter(failure, error, now);
      assert.equal(failure.attempts, n + 1);
      assert.equal(failure.since, 0);
      waits.push((failure.next - now) / minute);
      now = failure.next;
    }
    return waits;
  };

  test('comes soon where the authority is away, later where it refuses, and never later than its bound', () => {
    for (const error of [away, problem(503)])
      assert.deepEqual(series(error, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    for (const error of [problem(403), new Error('anything')])
      assert.deepEqual(series(error, 8), [20, 40, 80, 160, 320, 640, 720, 720]);
  });

  test('is what the authority asks for where that is later', () => {
    assert.equal(failureAfter(undefined, problem(429, day), 5).next, 5 + day);
    assert.equal(failureAfter(undefined, problem(429, 1000), 0).next, 20 * minute);
  });

  test('is soon for a process that has just been started, but not before the authority allows it', () => {
    assert.equal(mayTryAt(undefined, true), 0);
    const failure = failureAfter(undefined, problem(403), 1000);
    assert.equal(mayTryAt(failure, false), 1000 + 20 * minute);
    assert.equal(mayTryAt(failure, true), 1000 + minute);
    const asked = failureAfter(undefined, problem(429, day), 1000);
    assert.equal(mayTryAt(asked, true), 1000 + day);
  });
});
