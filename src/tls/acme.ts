import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { minute, pause } from '../clock.ts';
import type { Clock, Random } from '../clock.ts';
import type { Events } from '../observe/events.ts';
import { REFUSED_FOR, failureAfter, mayTryAt, whatIsDue } from './acme-due.ts';
import type { Due, OtherNames } from './acme-due.ts';
import { createAcmeRequest } from './acme-http.ts';
import { orderCertificate } from './acme-order.ts';
import { openAcmeSession } from './acme-session.ts';
import { isUsable, openAcmeState } from './acme-state.ts';
import type { AcmeAccount, KeptCertificate } from './acme-state.ts';
import type { Certificate, KeyPair } from './certificate.ts';
import { createChallenges } from './challenges.ts';
import type { Challenges } from './challenges.ts';
import { createLease } from './lease.ts';
import type { SharedValues } from './lease.ts';

export interface AcmeOptions {
  /** What all processes of the relay share. */
  readonly values: SharedValues;
  readonly directoryUrl: string;
  readonly email: string | undefined;
  /** PEM; in the place of the roots that come with Node. */
  readonly trustedCa?: string | undefined;
  /** The mail domain, a name or an IPv4 address. */
  readonly domain: string;
  /** Never rejects. */
  readonly otherNames: () => Promise<OtherNames>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
}

/** The certificate that an authority gives us by ACME (RFC 8555), kept fresh until this is disposed of. */
export interface Acme extends AsyncDisposable {
  /** For the listeners on 80 and 443. */
  readonly challenges: Challenges;
  /** What was issued last, by whatever process; it may have expired. */
  readonly kept: KeyPair | undefined;
  /** A certificate is due, and the last try to have it failed, by whatever process. */
  readonly failing: boolean;
  /** To be called once, when the listeners answer challenges: from now on `certificate` gets every new one. */
  start(certificate: Certificate): void;
}

/** How often we look whether another process has a new certificate, or one is due: one small read. */
const LOOK_EVERY = minute;
/** DNS is asked about the other names this often: who has just made a record should not wait long. */
const NAMES_EVERY = 15 * minute;
/** An order takes seconds; by far the most of this is a slow authority. */
const ORDER_TIME = 4 * minute;
/** Longer than an order can take, and no longer than another process should wait for one that was killed. */
const LEASE_TIME = 5 * minute;
/** An authority that has no certificates for addresses is asked again after this. */
const NOT_OFFERED_FOR = 24 * 60 * minute;
/** Let's Encrypt's name for certificates of six days, the only ones it gives to addresses. */
const ADDRESS_PROFILE = 'shortlived';

/** Reads what is kept, and makes the keys if need be. Rejects only where the store does. */
export async function openAcme(options: AcmeOptions): Promise<Acme> {
  const { values, directoryUrl, domain, clock, random, events } = options;
  const state = await openAcmeState(values);
  const challenges = createChallenges(state.accountKey, values);
  const lease = createLease(values, 'acme.lease', clock, random);
  const stop = new AbortController();

  let last = await state.certificate();
  let others: OtherNames & { readonly at: number } = { here: [], unsure: [], at: -Infinity };
  let triedOnce = false;
  let failing = false;
  let notOfferedUntil = 0;

  /** Once for each: the operator needs it for the CAA record. */
  let told: string | undefined;
  function tell(account: AcmeAccount): void {
    if (account.url !== told) events.acmeAccount(account.url, account.authority, account.terms);
    told = account.url;
  }
  const known = await state.account();
  if (known?.directory === directoryUrl) tell(known);

  /** The other process's certificate, or ours, once for each. */
  function use(certificate: Certificate, kept: KeptCertificate): void {
    if (certificate.pair.cert === kept.cert) return;
    try {
      certificate.replace({ key: state.key, cert: kept.cert });
    } catch (error) {
      events.fault('certificate', error);
    }
    // A listener may have failed to take it; for the others it is in place.
    if (certificate.pair.cert === kept.cert)
      events.certificateReplaced(new X509Certificate(kept.cert).validToDate);
  }

  async function findDue(): Promise<Due | undefined> {
    if (clock.now() - others.at >= NAMES_EVERY) others = { ...(await options.otherNames()), at: clock.now() };
    return whatIsDue(last, { domain, others, directory: directoryUrl, now: clock.now() });
  }

  async function look(certificate: Certificate): Promise<void> {
    last = await state.certificate();
    if (last !== undefined) use(certificate, last);
    const isDue = (await findDue()) !== undefined && clock.now() >= notOfferedUntil;
    const failure = isDue ? await state.failure() : undefined;
    failing = failure !== undefined;
    if (!isDue || clock.now() < mayTryAt(failure, !triedOnce)) return;
    const giveBack = await lease.take(LEASE_TIME);
    if (giveBack === undefined) return;
    try {
      // Another may have had it before us, and be done.
      last = await state.certificate();
      const due = await findDue();
      if (due !== undefined) await order(due);
      if (last !== undefined) use(certificate, last);
    } finally {
      triedOnce = true;
      await giveBack();
    }
  }

  async function order(due: Due): Promise<void> {
    const deadline = new AbortController();
    using _timer = clock.after(ORDER_TIME, () => deadline.abort());
    const signal = AbortSignal.any([stop.signal, deadline.signal]);
    try {
      last = await newCertificate(due, signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      failing = true;
      const failure = failureAfter(await state.failure(), error, clock.now());
      await state.keepFailure(failure);
      const reason = error instanceof Error ? error.message : String(error);
      events.certificateFailed(reason, failure.attempts, new Date(failure.since), new Date(failure.next));
    }
  }

  /** Orders, keeps and tells; undefined where the authority has nothing for us. */
  async function newCertificate(due: Due, signal: AbortSignal): Promise<KeptCertificate | undefined> {
    const session = await openAcmeSession({
      directoryUrl,
      accountKey: state.accountKey,
      email: options.email,
      request: createAcmeRequest({ trustedCa: options.trustedCa, signal }),
    });
    const { client, accountUrl, authority, terms, profiles } = session;
    const account = { directory: directoryUrl, url: accountUrl, authority, terms };
    await state.keepAccount(account);
    tell(account);
    const profile = isIP(domain) ? ADDRESS_PROFILE : undefined;
    if (profile !== undefined && !profiles.includes(profile)) {
      events.certificateNotOffered(`${directoryUrl} offers no profile ${profile}`);
      notOfferedUntil = clock.now() + NOT_OFFERED_FOR;
      failing = false;
      return last;
    }

    const ordered = await orderCertificate(
      { names: due.names, key: state.key, profile },
      {
        client,
        challenges,
        clock,
        signal,
      },
    );
    if (!isUsable({ key: state.key, cert: ordered.cert }))
      throw new Error(`${directoryUrl}: what it issued is no certificate for our key`);
    const now = clock.now();
    const kept: KeptCertificate = {
      cert: ordered.cert,
      names: ordered.names,
      directory: directoryUrl,
      issuedAt: now,
      refusedUntil: {
        ...Object.fromEntries(Object.entries(last?.refusedUntil ?? {}).filter(([, until]) => until > now)),
        ...Object.fromEntries([...ordered.refused.keys()].map((name) => [name, now + REFUSED_FOR])),
      },
    };
    await state.keepCertificate(kept);
    await state.keepFailure(undefined);
    failing = false;
    events.certificateIssued(ordered.names, due.why);
    for (const [name, reason] of ordered.refused) events.certificateNameRefused(name, reason);
    return kept;
  }

  let running: Promise<void> | undefined;
  async function run(certificate: Certificate): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await look(certificate);
      } catch (error) {
        // Most likely the store, which is told apart above this folder; the next look is soon.
        if (!stop.signal.aborted) events.fault('acme', error);
      }
      await pause(clock, LOOK_EVERY, stop.signal);
    }
  }

  return {
    challenges,
    kept: last === undefined ? undefined : { key: state.key, cert: last.cert },
    get failing() {
      return failing;
    },
    start(certificate) {
      running ??= run(certificate);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
