import { createHash } from 'node:crypto';

/** Upstream's: 28 days. */
const MAX_AGE = 2_419_200;
/** RFC 8461 3.1: 1 to 32 letters and digits. */
const ID_LENGTH = 20;

/** The MTA-STS policy of a relay whose only server for mail is `host` (RFC 8461 3.2). */
export function stsPolicy(host: string): string {
  const lines = ['version: STSv1', 'mode: enforce', `mx: ${host}`, `max_age: ${MAX_AGE}`];
  return `${lines.join('\r\n')}\r\n`;
}

/** The id for the TXT record: another one as soon as the policy is another (RFC 8461 3.1), the same on every machine. */
export function stsId(policy: string): string {
  return createHash('sha256').update(policy).digest('hex').slice(0, ID_LENGTH);
}
