import { isPublicAddress } from '../dns/public-address.ts';
import { kindOfMailDomain } from '../settings/mail-domain.ts';

/** Where the relay's certificate comes from. */
export type CertificateSource =
  | { readonly kind: 'files'; readonly cert: string; readonly key: string }
  | { readonly kind: 'acme' }
  | { readonly kind: 'self-signed'; readonly why: string };

/** The one place where this is decided; the first line that fits counts. */
export function certificateSource(settings: {
  readonly mailDomain: string;
  readonly files: { readonly cert: string; readonly key: string } | undefined;
  readonly termsAgreed: boolean;
}): CertificateSource {
  const { mailDomain, files, termsAgreed } = settings;
  const kind = kindOfMailDomain(mailDomain);
  if (files !== undefined) return { kind: 'files', ...files };
  // The trial's domain is one of these.
  if (kind === 'private') return { kind: 'self-signed', why: 'no authority knows a name that starts with _' };
  if (kind === 'ipv4' && !isPublicAddress(mailDomain))
    return { kind: 'self-signed', why: 'the address is not a public one' };
  if (!termsAgreed) return { kind: 'self-signed', why: 'acme_terms_agreed is off' };
  return { kind: 'acme' };
}
