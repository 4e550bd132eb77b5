import type { Command } from './command.ts';
import type { Reader } from './reader.ts';

/** Resources in one SETQUOTA; RFC 9208 knows four. */
const MAX_RESOURCES = 10;

/** RFC 9208 `getquota = "GETQUOTA" SP quota-root-name`. */
export function parseGetQuota(reader: Reader): Command {
  reader.space();
  return { name: 'GETQUOTA', root: reader.text('a quota root') };
}

/** RFC 9208 `getquotaroot = "GETQUOTAROOT" SP mailbox`. */
export function parseGetQuotaRoot(reader: Reader): Command {
  reader.space();
  return { name: 'GETQUOTAROOT', mailbox: reader.mailbox() };
}

/** RFC 9208 `setquota = "SETQUOTA" SP quota-root-name SP setquota-list`. */
export function parseSetQuota(reader: Reader): Command {
  reader.space();
  const root = reader.text('a quota root');
  reader.space();
  const limits = reader.list(() => {
    const resource = reader.word('a resource');
    reader.space();
    return { resource, limit: reader.number('a limit') };
  }, MAX_RESOURCES);
  return { name: 'SETQUOTA', root, limits };
}
