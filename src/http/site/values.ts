import { accountLink, loginLink, needsLoginLink, originOf } from '../addresses.ts';
import type { Addresses } from '../addresses.ts';
import type { NewAccounts } from '../../accounts/new-account.ts';
import { lastOf, qrSvg } from './qr.ts';
import { escapeHtml } from './template.ts';
import type { Values } from './template.ts';

/** Settings that pages speak of. */
export interface SiteFacts {
  /** Bytes. */
  readonly maxMessageSize: number;
  /** Bytes. */
  readonly maxMailboxSize: number;
  /** The notifier's URL. */
  readonly notifierUrl: string;
  /** Empty where not set. */
  readonly privacyMail: string;
  readonly privacyPostal: string;
  readonly privacyPdo: string;
  readonly privacySupervisor: string;
}

/** What every page may name; the same for everybody. */
export function commonValues(addresses: Addresses, facts: SiteFacts): Values {
  const ports = addresses.ports();
  return {
    domain: addresses.host,
    // Upstream's name for it.
    mail_domain: addresses.host,
    origin: originOf(addresses),
    ...Object.fromEntries(Object.entries(ports).map(([key, port]) => [key, String(port)])),
    max_message_size: sizeText(facts.maxMessageSize),
    max_mailbox_size: sizeText(facts.maxMailboxSize),
    notifier: URL.parse(facts.notifierUrl)?.hostname ?? '',
    privacy_mail: facts.privacyMail,
    privacy_postal: facts.privacyPostal,
    privacy_pdo: facts.privacyPdo,
    privacy_supervisor: facts.privacySupervisor,
  };
}

/** What a visitor needs to get an account here; where that is a login of his own, nobody else must get the page. */
export interface Invitation {
  readonly values: Values;
  readonly personal: boolean;
}

/** Whether a page speaks of the invitation at all. */
export function invites(markdown: string): boolean {
  return /(link|qr|why_not)\s*\}\}/.test(markdown);
}

/** Of every visit; the code that all visitors are shown is made once. */
export function createInvitation(addresses: Addresses, newAccounts: NewAccounts): () => Promise<Invitation> {
  const shared = lastOf(linkValues);
  return () => invitation(addresses, newAccounts, shared);
}

async function invitation(
  addresses: Addresses,
  newAccounts: NewAccounts,
  shared: (link: string) => Values,
): Promise<Invitation> {
  const refusal = newAccounts.refusal();
  if (refusal && refusal.kind !== 'busy') {
    const byInvitation = refusal.kind === 'token' ? 'yes' : undefined;
    return { values: { ...noLink(refusal.reason), by_invitation: byInvitation }, personal: false };
  }
  if (!needsLoginLink(addresses)) {
    return { values: shared(accountLink(addresses)), personal: false };
  }
  const account = await newAccounts.make();
  if (account.kind !== 'made') return { values: noLink(account.reason), personal: true };
  return {
    values: linkValues(loginLink(addresses, account.address, account.password)),
    personal: true,
  };
}

/** Of a page that makes no account, and says why. */
export function noLink(whyNot: string | undefined): Values {
  return { link: undefined, qr: undefined, why_not: whyNot };
}

/** Of a page that makes an account by a link and its code. */
export function linkValues(link: string): Values {
  return {
    link: { html: escapeHtml(link) },
    qr: { html: qrSvg(link, 'QR code that makes an account') },
    why_not: undefined,
  };
}

/** Of a page that makes an account by a button of its own: a POST, which no look at the page can set off. */
export function formValues(token: string): Values {
  const action = `/new.html?token=${encodeURIComponent(token)}`;
  const button = '<button class="button" type="submit">Make an account</button>';
  return {
    ...noLink(undefined),
    form: { html: `<form method="post" action="${action}">${button}</form>` },
  };
}

/** 31457280 is 30 MB to a person; settings count in powers of 1024, and so does he. */
function sizeText(bytes: number): string {
  const megabytes = bytes / 1024 / 1024;
  return megabytes >= 1024 ? `${round(megabytes / 1024)} GB` : `${round(megabytes)} MB`;
}

function round(number: number): string {
  return String(Math.round(number * 10) / 10);
}
