import { judgeDkim } from '../authenticity/judge.ts';
import type { DkimCheck } from '../authenticity/check.ts';
import { refuse } from '../errors.ts';
import type { Refusal } from '../errors.ts';
import type { Author } from '../message/address.ts';

export type Origin = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/**
 * Whether the message is from whom it says: its author's domain has signed it. An address literal has no DNS to hold a
 * key, so it counts from that very address alone (promise 6; upstream takes it from anybody, relay.md 3).
 */
export async function judgeOrigin(
  author: Author,
  peer: string,
  message: Buffer,
  checkDkim: DkimCheck,
): Promise<Origin> {
  if (author.literal === undefined) return judgeDkim(await checkDkim(message), author.domain);
  if (samePeer(author.literal, peer)) return { ok: true };
  return { ok: false, refusal: refuse('literal_mismatch', 'From at an address literal came from elsewhere') };
}

/** `literal` is in its shortest form; a dual-stack socket writes an IPv4 peer as `::ffff:a.b.c.d`. */
function samePeer(literal: string, peer: string): boolean {
  const address = peer.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
  return (
    literal ===
    (address.includes(':') ? new URL(`http://[${address.split('%')[0]}]`).hostname.slice(1, -1) : address)
  );
}
