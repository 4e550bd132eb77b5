import type { Field, Header } from '../message/header.ts';
import { fieldsOf } from '../message/header.ts';
import { relaxedField } from './relaxed.ts';

/**
 * Signed, and once more than they are there, so that none can be added without breaking the signature (RFC 6376 8.15):
 * upstream's OversignHeaders (relay.md 4; chatmail/relay, opendkim.conf).
 */
const OVERSIGNED = [
  'from',
  'reply-to',
  'subject',
  'date',
  'to',
  'cc',
  'resent-date',
  'resent-from',
  'resent-sender',
  'resent-to',
  'resent-cc',
  'in-reply-to',
  'references',
  'list-id',
  'list-help',
  'list-unsubscribe',
  'list-subscribe',
  'list-post',
  'list-owner',
  'list-archive',
  'autocrypt',
] as const;

/** Signed where they are there. */
const SIGNED = ['content-type'] as const;

/**
 * Fields of one name that are signed, the lowest first. Honest mail has one of each; h= must stay short, for verifiers
 * give up on a long one. Where there are more, anybody may add another: it is not mail that anybody writes.
 */
const MAX_INSTANCES = 8;

export interface SignedFields {
  /** As h= names them: at most MAX_INSTANCES + 1 times each. */
  readonly names: readonly string[];
  /** Their relaxed form, in the order of `names`; a name without a field adds nothing (RFC 6376 5.4). */
  readonly text: string;
}

/** What of a header is signed. Linear in its size. */
export function signedFields(header: Header): SignedFields {
  const names: string[] = [];
  const fields: Field[] = [];
  const sign = (name: string, oversigned: boolean) => {
    // RFC 6376 5.4.2: of several fields of one name, the lowest in the message is the first in h=.
    const instances = fieldsOf(header, name).toReversed().slice(0, MAX_INSTANCES);
    fields.push(...instances);
    const times = instances.length + (oversigned && instances.length < MAX_INSTANCES ? 1 : 0);
    names.push(...Array.from({ length: times }, () => name));
  };
  for (const name of OVERSIGNED) sign(name, true);
  for (const name of SIGNED) sign(name, false);
  return { names, text: fields.map(({ key, value }) => relaxedField(key, value)).join('') };
}
