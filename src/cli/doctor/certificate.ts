import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { day } from '../../clock.ts';
import { bad, ok, warn } from './line.ts';
import type { Line } from './line.ts';

export interface CertificateFact {
  /** Where it was found, in words. */
  readonly from: string;
  readonly certificate: X509Certificate;
  /** Why strangers do not take it; undefined where they do, or where that was not tried. */
  readonly untrusted: string | undefined;
}

/** Renewal begins weeks before (a third of the life); so few days mean that it has failed for long. */
const FEW_DAYS = 7;
/** A short-lived certificate has this part of its life left when it is renewed; half of it is late. */
const LATE = 1 / 6;

/** `needsAuthority`: clients check it in earnest, as the domain is a public name. */
export function judgeCertificate(
  fact: CertificateFact | undefined,
  {
    domain,
    needsAuthority,
    now,
  }: { readonly domain: string; readonly needsAuthority: boolean; readonly now: number },
): Line {
  const topic = 'certificate';
  if (fact === undefined) return warn(topic, 'there is none yet: Teal gets one when it is started');
  const { certificate, from, untrusted } = fact;
  const left = certificate.validToDate.getTime() - now;
  const life = certificate.validToDate.getTime() - certificate.validFromDate.getTime();
  const isOurs = (isIP(domain) ? certificate.checkIP(domain) : certificate.checkHost(domain)) !== undefined;
  const days = Math.floor(left / day);
  const names = (certificate.subjectAltName ?? 'no names').replaceAll(/DNS:|IP Address:/g, '');
  const text = `${from}: ${days} days left, for ${names}`;
  if (left <= 0) return bad(topic, `${text}: it has expired`);
  if (certificate.validFromDate.getTime() > now)
    return bad(topic, `${text}: it is not valid yet; is the clock right?`);
  if (!isOurs) return bad(topic, `${text}: it is not for ${domain}`);
  if (needsAuthority && untrusted !== undefined)
    return bad(topic, `${text}: strangers do not take it (${untrusted})`);
  if (left < Math.min(FEW_DAYS * day, life * LATE))
    return warn(topic, `${text}: it should have been renewed by now`);
  return ok(topic, text);
}
