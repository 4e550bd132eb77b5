import type { Refusal } from '../errors.ts';
import type { Log } from './log.ts';
import { noMeter } from './meter.ts';
import type { Meter } from './meter.ts';
import type { Service } from './metric-table.ts';

export type { Service } from './metric-table.ts';

/**
 * One function for every business event: its log line and its count are made here and nowhere else, the count also
 * where log_level leaves the line out. No argument may carry message content, a password, a token or a network address.
 */
export function createEvents(log: Log, { add, time }: Meter = noMeter) {
  const accepted = (direction: 'incoming' | 'outgoing', size: number, recipients: number) => {
    add('teal_messages_accepted_total', { direction });
    add('teal_messages_accepted_bytes_total', { direction }, size);
    add('teal_messages_accepted_recipients_total', { direction }, recipients);
  };
  return {
    /** Every listener serves; the ports are those bound. */
    ready: (domain: string, ports: Readonly<Record<string, number>>) =>
      log.info({ event: 'ready', domain, ports }),
    /** No new connections; what is under way is finished, for some seconds at most. */
    stopping: () => log.info({ event: 'stopping' }),
    /** The data directory is free for the next. */
    stopped: () => log.info({ event: 'stopped' }),
    /** Clients will not like the certificate: expired, for another name, or self-signed for a public one. */
    certificateDoubtful: (problem: string) => log.warn({ event: 'certificate-doubtful', problem }),
    /** Nobody vouches for the certificate, and why that is so. */
    certificateSelfSigned: (why: string) => log.info({ event: 'certificate-self-signed', why }),
    /** New connections of every listener get another certificate from now on. */
    certificateReplaced: (validTo: Date) =>
      log.info({ event: 'certificate-replaced', validTo: toText(validTo) }),
    /** The files of tls_external_cert_and_key have changed and cannot be used; the certificate before them stays. */
    certificateFilesRejected: (problem: string) => {
      log.error({ event: 'certificate-files-rejected', problem });
      add('teal_certificate_files_rejected_total');
    },
    /** Our account with the authority: what a CAA record is to name (RFC 8657). */
    acmeAccount: (url: string, authority: readonly string[], terms: string | undefined) =>
      log.info({ event: 'acme-account', url, authority, ...(terms === undefined ? {} : { terms }) }),
    certificateIssued: (names: readonly string[], why: string) => {
      log.info({ event: 'certificate-issued', names, why });
      add('teal_certificates_issued_total');
    },
    /** The certificate goes without this name for now. */
    certificateNameRefused: (name: string, reason: string) =>
      log.warn({ event: 'certificate-name-refused', name, reason }),
    /** No new certificate could be had; said for every try, the first one too, however long the old one lasts. */
    certificateFailed: (reason: string, attempts: number, since: Date, next: Date) => {
      log.error({ event: 'certificate-failed', reason, attempts, since: toText(since), next: toText(next) });
      add('teal_certificates_failed_total');
    },
    /** The authority has no certificates for addresses: the self-signed one stays. */
    certificateNotOffered: (reason: string) => log.info({ event: 'certificate-not-offered', reason }),
    /** A record that must be in DNS is not, or does not do. */
    dnsWrong: (name: string, type: string, problem: string) => {
      log.error({ event: 'dns-wrong', name, type, problem });
      add('teal_dns_records_wrong_total');
    },
    /** The same of a record that should be there. */
    dnsWeak: (name: string, type: string, problem: string) => {
      log.warn({ event: 'dns-weak', name, type, problem });
      add('teal_dns_records_weak_total');
    },
    /** DNS did not say whether these are there. */
    dnsUnknown: (records: readonly string[]) => log.warn({ event: 'dns-unknown', records }),
    /** All that must and should be in DNS is there; said when it was not so before. */
    dnsWell: () => log.info({ event: 'dns-well' }),
    /** A session was turned away or ended by us. */
    sessionRefused: (service: Service, session: string, refusal: Refusal) => {
      log.info({ event: 'session-refused', service, session, code: refusal.code, detail: refusal.detail });
      add('teal_sessions_refused_total', { service, code: refusal.code });
    },
    /** A machine of proxy_protocol_from did not say first for whom it speaks; `connections` since the last such line. */
    proxyHeaderRefused: (service: Service, reason: string, connections: number) => {
      log.warn({ event: 'proxy-header-refused', service, reason, connections });
      add('teal_proxy_headers_refused_total', { service }, connections);
    },
    /** The peer, or the network, broke the session. Ordinary; kept for finding faults. */
    sessionFailed: (service: Service, session: string, error: Error) => {
      log.debug({ event: 'session-failed', service, session, reason: error.message });
      add('teal_sessions_failed_total', { service });
    },
    loggedIn: (service: Service, session: string) => {
      log.debug({ event: 'logged-in', service, session });
      add('teal_logins_total', { service });
    },
    /** `reason` says why an account was not made, or that the password was wrong. */
    loginRefused: (reason: string) => {
      log.info({ event: 'login-refused', reason });
      add('teal_logins_refused_total');
    },
    /** More logins at once than we hash passwords for; `unavailable` was the answer. */
    loginUnavailable: (reason: string) => {
      log.warn({ event: 'login-unavailable', reason });
      add('teal_logins_unavailable_total');
    },
    /** `/new` made no account for whoever asked with a token, or without one where it takes one. */
    signUpRefused: (reason: string) => {
      log.info({ event: 'sign-up-refused', reason });
      add('teal_sign_ups_refused_total');
    },
    accountCreated: (address: string) => {
      log.info({ event: 'account-created', address });
      add('teal_accounts_created_total');
    },
    messageReceived: (session: string, size: number, recipients: number) => {
      log.info({ event: 'message-received', session, size, recipients });
      accepted('incoming', size, recipients);
    },
    /** `recipients` are ours, `elsewhere` those that wait in the queue now. */
    messageSubmitted: (session: string, size: number, recipients: number, elsewhere: number) => {
      log.info({ event: 'message-submitted', session, size, recipients, elsewhere });
      accepted('outgoing', size, recipients);
      add('teal_queue_recipients_added_total', {}, elsewhere);
    },
    messageRefused: (direction: 'incoming' | 'outgoing', session: string, refusal: Refusal) => {
      log.info({ event: 'message-refused', direction, session, code: refusal.code, detail: refusal.detail });
      add('teal_messages_refused_total', { direction, code: refusal.code });
    },
    /** A recipient got nothing of an accepted message, and nobody could be told: the sender is not proven. */
    recipientDropped: (session: string, reason: 'unknown' | 'over-quota') => {
      log.info({ event: 'recipient-dropped', session, reason });
      add('teal_recipients_dropped_total', { reason });
    },
    /** Another relay took the message; `ms` since we accepted it. */
    mailDelivered: (recipients: number, via: 'mxdeliv' | 'smtp', ms: number) => {
      log.info({ event: 'mail-delivered', recipients, via, ms });
      add('teal_queue_recipients_delivered_total', { via }, recipients);
      time('teal_queue_delivery_seconds', { via }, ms / 1000);
    },
    /** To be tried again; teal queue has what the other side said. */
    mailDeferred: (
      destination: string,
      recipients: number,
      status: string,
      reason: string,
      attempts: number,
      next: Date,
    ) => {
      log.info({
        event: 'mail-deferred',
        destination,
        recipients,
        status,
        reason,
        attempts,
        next: toText(next),
      });
      add('teal_queue_recipients_deferred_total', {}, recipients);
    },
    /** Refused for good, or given up after maximal_queue_lifetime. */
    mailFailed: (destination: string, recipients: number, status: string, reason: string) => {
      log.info({ event: 'mail-failed', destination, recipients, status, reason });
      add('teal_queue_recipients_failed_total', {}, recipients);
    },
    /** A try was broken off: another process had its recipients by then, for this one, or the store, was away too long. */
    mailClaimLost: (destination: string, recipients: number) => {
      log.warn({ event: 'mail-claim-lost', destination, recipients });
      add('teal_queue_claims_lost_total');
    },
    /** The sender hears of `recipients` that were not reached: `here` in a mailbox of ours, or `elsewhere`. */
    bounceSent: (sender: 'here' | 'elsewhere', recipients: number) => {
      log.info({ event: 'bounce-sent', sender, recipients });
      add('teal_bounces_sent_total', { sender });
      // One to one sender.
      if (sender === 'elsewhere') add('teal_queue_recipients_added_total');
    },
    /** Nobody hears of it. */
    bounceSuppressed: (reason: 'no account' | 'no room', recipients: number) => {
      log.info({ event: 'bounce-suppressed', reason, recipients });
      add('teal_bounces_suppressed_total', { reason });
    },
    pushSent: (attempts: number) => {
      log.debug({ event: 'push-sent', attempts });
      add('teal_push_sent_total');
    },
    pushFailed: (attempts: number, reason: string) => {
      log.info({ event: 'push-failed', attempts, reason });
      add('teal_push_failed_total');
    },
    pushGivenUp: (attempts: number) => {
      log.warn({ event: 'push-given-up', attempts });
      add('teal_push_given_up_total');
    },
    /** The notifier said 410: the device is gone. */
    tokenDropped: () => {
      log.info({ event: 'token-dropped' });
      add('teal_push_tokens_dropped_total');
    },
    /** Hosts that DNS names for a destination and its MTA-STS policy does not. */
    mtaStsMismatch: (destination: string, hosts: readonly string[]) => {
      log.warn({ event: 'mta-sts-mismatch', destination, hosts });
      add('teal_mta_sts_mismatches_total');
    },
    /** A host's certificate fits none of its TLSA records (RFC 7672); with dane = enforce it gets no mail. */
    daneMismatch: (destination: string, host: string, problem: string) => {
      log.warn({ event: 'dane-mismatch', destination, host, problem });
      add('teal_dane_mismatches_total');
    },
    /** iroh_upstream does not answer; said once a minute at most. */
    irohUnavailable: (reason: string) => {
      log.warn({ event: 'iroh-unavailable', reason });
      add('teal_iroh_unavailable_total');
    },
    storeUnavailable: (error: Error) => {
      log.error({ event: 'store-unavailable', reason: error.message });
      add('teal_store_unavailable_total');
    },
    /** A fault of ours: the only event that carries a stack. */
    fault: (where: string, error: unknown) => {
      log.error({ event: 'fault', where, err: error });
      add('teal_faults_total');
    },
  };
}

/** Seconds are enough for a person. */
function toText(date: Date): string {
  return date.toISOString().replace(/\.\d+/, '');
}

export type Events = ReturnType<typeof createEvents>;
