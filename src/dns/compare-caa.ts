import { differs, missing, ok } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import type { RecordData } from './zone.ts';

type Caa = RecordData & { readonly type: 'CAA' };

/** What our ACME client can prove a name by (RFC 8657 4). */
const METHODS = ['http-01', 'tls-alpn-01'];
const KNOWN_TAGS = new Set([
  'issue',
  'issuewild',
  'iodef',
  'issuemail',
  'issuevmc',
  'contactemail',
  'contactphone',
]);

/**
 * Whether the CAA records that hold for the domain (its own, or the nearest above it: RFC 8659 3) let our authority
 * issue. Records that forbid it are worse than none: the certificate will not be renewed.
 */
export function compareCaa(
  have: readonly Caa[],
  wanted: { readonly authority: readonly string[]; readonly accountUrl?: string | undefined },
): Verdict {
  const critical = have.find(({ flags, tag }) => (flags & 0x80) !== 0 && !KNOWN_TAGS.has(tag.toLowerCase()));
  if (critical !== undefined)
    return forbidden(
      `the critical property ${critical.tag} keeps every authority that does not know it away`,
    );
  const issue = have.filter(({ tag }) => tag.toLowerCase() === 'issue');
  // Others (iodef) restrict nobody.
  if (issue.length === 0) return missing();
  const ours = issue
    .map(({ value }) => readIssue(value))
    .filter(({ authority }) => wanted.authority.some((name) => name.toLowerCase() === authority));
  if (ours.length === 0)
    return forbidden(
      `${wanted.authority.join(' or ')} may not issue for you: the next certificate will fail`,
    );
  const proven = ours.filter(
    ({ methods }) => methods === undefined || METHODS.some((one) => methods.includes(one)),
  );
  if (proven.length === 0)
    return forbidden(`validationmethods leaves out ${METHODS.join(' and ')}: the next certificate will fail`);
  if (wanted.accountUrl === undefined) return ok();
  const fitting = proven.filter(({ account }) => account === undefined || account === wanted.accountUrl);
  if (fitting.length === 0)
    return forbidden('accounturi is not the account of this relay: the next certificate will fail');
  // Each record lets somebody: one without an account lets all, whatever the others say.
  if (ours.some(({ account }) => account === undefined))
    return differs('without accounturi, who can reroute your traffic gets a certificate there, too');
  return ok();
}

function forbidden(note: string): Verdict {
  return { ...differs(note), grade: 'must' };
}

/** `letsencrypt.org; accounturi=https://…; validationmethods=http-01` (RFC 8659 4.2). */
function readIssue(value: string) {
  const [name = '', ...parameters] = value.split(';').map((part) => part.trim());
  const get = (key: string) => {
    const found = parameters.find((parameter) => new RegExp(`^${key}\\s*=`, 'i').test(parameter));
    return found?.replace(/^[^=]*=\s*/, '');
  };
  return {
    authority: name.toLowerCase().replace(/\.$/, ''),
    account: get('accounturi'),
    methods: get('validationmethods')
      ?.split(',')
      .map((method) => method.trim().toLowerCase()),
  };
}
