import type { Refusal } from '../errors.ts';
import type { Log } from './log.ts';

export type Service = 'smtp' | 'submission' | 'submissions' | 'imap' | 'imaps' | 'http' | 'https';

/**
 * One function for every business event: the log line is written here and nowhere else, and a counter joins it here
 * when there are metrics. No argument may carry message content, a password, a token or a network address.
 */
export function createEvents(log: Log) {
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
    certificateFilesRejected: (problem: string) =>
      log.error({ event: 'certificate-files-rejected', problem }),
    /** Our account with the authority: what a CAA record is to name (RFC 8657). */
    acmeAccount: (url: string, authority: readonly string[], terms: string | undefined) =>
      log.info({ event: 'acme-account', url, authority, ...(terms === undefined ? {} : { terms }) }),
    certificateIssued: (names: readonly string[], why: string) =>
      log.info({ event: 'certificate-issued', names, why }),
    /** The certificate goes without this name for now. */
    certificateNameRefused: (name: string, reason: string) =>
      log.warn({ event: 'certificate-name-refused', name, reason }),
    /** No new certificate could be had; said for every try, the first one too, however long the old one lasts. */
    certificateFailed: (reason: string, attempts: number, since: Date, next: Date) =>
      log.error({ event: 'certificate-failed', reason, attempts, since: toText(since), next: toText(next) }),
    /** The authority has no certificates for addresses: the self-signed one stays. */
    certificateNotOffered: (reason: string) => log.info({ event: 'certificate-not-offered', reason }),
    /** A record that must be in DNS is not, or does not do. */
    dnsWrong: (name: string, type: string, problem: string) =>
      log.error({ event: 'dns-wrong', name, type, problem }),
    /** The same of a record that should be there. */
    dnsWeak: (name: string, type: string, problem: string) =>
      log.warn({ event: 'dns-weak', name, type, problem }),
    /** DNS did not say whether these are there. */
    dnsUnknown: (records: readonly string[]) => log.warn({ event: 'dns-unknown', records }),
    /** All that must and should be in DNS is there; said when it was not so before. */
    dnsWell: () => log.info({ event: 'dns-well' }),
    /** A session was turned away or ended by us. */
    sessionRefused: (service: Service, session: string, refusal: Refusal) =>
      log.info({ event: 'session-refused', service, session, code: refusal.code, detail: refusal.detail }),
    /** A machine of proxy_protocol_from did not say first for whom it speaks; `connections` since the last such line. */
    proxyHeaderRefused: (service: Service, reason: string, connections: number) =>
      log.warn({ event: 'proxy-header-refused', service, reason, connections }),
    /** The peer, or the network, broke the session. Ordinary; kept for finding faults. */
    sessionFailed: (service: Service, session: string, error: Error) =>
      log.debug({ event: 'session-failed', service, session, reason: error.message }),
    loggedIn: (service: Service, session: string) => log.debug({ event: 'logged-in', service, session }),
    /** `reason` says why an account was not made, or that the password was wrong. */
    loginRefused: (reason: string) => log.info({ event: 'login-refused', reason }),
    /** More logins at once than we hash passwords for; `unavailable` was the answer. */
    loginUnavailable: (reason: string) => log.warn({ event: 'login-unavailable', reason }),
    /** `/new` made no account for whoever asked with a token, or without one where it takes one. */
    signUpRefused: (reason: string) => log.info({ event: 'sign-up-refused', reason }),
    accountCreated: (address: string) => log.info({ event: 'account-created', address }),
    messageReceived: (session: string, size: number, recipients: number) =>
      log.info({ event: 'message-received', session, size, recipients }),
    /** `recipients` are ours, `elsewhere` those that wait in the queue now. */
    messageSubmitted: (session: string, size: number, recipients: number, elsewhere: number) =>
      log.info({ event: 'message-submitted', session, size, recipients, elsewhere }),
    messageRefused: (direction: 'incoming' | 'outgoing', session: string, refusal: Refusal) =>
      log.info({ event: 'message-refused', direction, session, code: refusal.code, detail: refusal.detail }),
    /** A recipient got nothing of an accepted message, and nobody could be told: the sender is not proven. */
    recipientDropped: (session: string, reason: 'unknown' | 'over-quota') =>
      log.info({ event: 'recipient-dropped', session, reason }),
    /** Another relay took the message; `ms` since we accepted it. */
    mailDelivered: (recipients: number, via: 'mxdeliv' | 'smtp', ms: number) =>
      log.info({ event: 'mail-delivered', recipients, via, ms }),
    /** To be tried again; teal queue has what the other side said. */
    mailDeferred: (
      destination: string,
      recipients: number,
      status: string,
      reason: string,
      attempts: number,
      next: Date,
    ) =>
      log.info({
        event: 'mail-deferred',
        destination,
        recipients,
        status,
        reason,
        attempts,
        next: toText(next),
      }),
    /** Refused for good, or given up after maximal_queue_lifetime. */
    mailFailed: (destination: string, recipients: number, status: string, reason: string) =>
      log.info({ event: 'mail-failed', destination, recipients, status, reason }),
    /** The sender hears of `recipients` that were not reached: `here` in a mailbox of ours, or `elsewhere`. */
    bounceSent: (sender: 'here' | 'elsewhere', recipients: number) =>
      log.info({ event: 'bounce-sent', sender, recipients }),
    /** Nobody hears of it. */
    bounceSuppressed: (reason: 'no account' | 'no room', recipients: number) =>
      log.info({ event: 'bounce-suppressed', reason, recipients }),
    pushSent: (attempts: number) => log.debug({ event: 'push-sent', attempts }),
    pushFailed: (attempts: number, reason: string) => log.info({ event: 'push-failed', attempts, reason }),
    pushGivenUp: (attempts: number) => log.warn({ event: 'push-given-up', attempts }),
    /** The notifier said 410: the device is gone. */
    tokenDropped: () => log.info({ event: 'token-dropped' }),
    /** Hosts that DNS names for a destination and its MTA-STS policy does not. */
    mtaStsMismatch: (destination: string, hosts: readonly string[]) =>
      log.warn({ event: 'mta-sts-mismatch', destination, hosts }),
    /** A host's certificate fits none of its TLSA records (RFC 7672); with dane = enforce it gets no mail. */
    daneMismatch: (destination: string, host: string, problem: string) =>
      log.warn({ event: 'dane-mismatch', destination, host, problem }),
    /** iroh_upstream does not answer; said once a minute at most. */
    irohUnavailable: (reason: string) => log.warn({ event: 'iroh-unavailable', reason }),
    storeUnavailable: (error: Error) => log.error({ event: 'store-unavailable', reason: error.message }),
    /** A fault of ours: the only event that carries a stack. */
    fault: (where: string, error: unknown) => log.error({ event: 'fault', where, err: error }),
  };
}

/** Seconds are enough for a person. */
function toText(date: Date): string {
  return date.toISOString().replace(/\.\d+/, '');
}

export type Events = ReturnType<typeof createEvents>;
