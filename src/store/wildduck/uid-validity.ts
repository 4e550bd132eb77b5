import type { Collections } from './connect.ts';

/**
 * RFC 9051 2.3.1.1: a mailbox made anew under an old name needs a higher UIDVALIDITY. Ours come from one ascending
 * counter for all, never behind the clock in seconds, so that a database made anew gives higher ones too.
 */
export async function nextUidValidity({ counters }: Collections, now: number): Promise<number> {
  const next = { $max: [{ $add: [{ $ifNull: ['$value', 0] }, 1] }, Math.floor(now / 1000)] };
  const { value } = await counters.findOneAndUpdate({ _id: 'uid-validity' }, [{ $set: { value: next } }], {
    upsert: true,
    returnDocument: 'after',
  });
  if (!value) throw new Error('the database has made no UIDVALIDITY');
  return Number(value.value);
}
