import { isIPv4 } from 'node:net';
import type { ValueType } from './value-types.ts';

/** RFC 1035 2.3.4, RFC 1123 2.1. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME = 253;

/**
 * What kind of relay the domain makes, as upstream's config.py tells them apart: `name` is a public DNS name, `private`
 * starts with `_` (no certificate authority vouches for it: self-signed), `ipv4` is a bare address (self-signed too).
 */
export function kindOfMailDomain(mailDomain: string): 'name' | 'private' | 'ipv4' {
  if (isIPv4(mailDomain)) return 'ipv4';
  return mailDomain.startsWith('_') ? 'private' : 'name';
}

/** What stands behind the `@` of every address: the domain, or `[203.0.113.5]` for a bare IPv4 (RFC 5321 4.1.3). */
export function addressDomain(mailDomain: string): string {
  return kindOfMailDomain(mailDomain) === 'ipv4' ? `[${mailDomain}]` : mailDomain;
}

/** The value is lower case. */
export const mailDomainType: ValueType<string> = {
  allowed:
    'a DNS name with at least one dot (other than ASCII in its xn-- form), the same with an underscore in front, or an IPv4 address',
  parse: (text) => {
    const value = text.toLowerCase();
    return isIPv4(value) || isName(value) ? { value } : undefined;
  },
  format: String,
};

function isName(name: string): boolean {
  const labels = name.replace(/^_/, '').split('.');
  const last = labels.at(-1) ?? '';
  // An all-digit last label is a mistyped address, never a name (RFC 3696 2).
  return (
    name.length <= MAX_NAME &&
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    !/^\d+$/.test(last)
  );
}
