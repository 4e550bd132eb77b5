import { BlockList } from 'node:net';
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
  if (kind === 'ipv4' && notPublic.check(mailDomain))
    return { kind: 'self-signed', why: 'the address is not a public one' };
  if (!termsAgreed) return { kind: 'self-signed', why: 'acme_terms_agreed is off' };
  return { kind: 'acme' };
}

/** IANA's special-purpose IPv4 addresses that no authority can reach (RFC 6890). */
const notPublic = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  notPublic.addSubnet(network, prefix, 'ipv4');
