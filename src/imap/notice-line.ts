import type { Notice } from './selected.ts';
import { fetchItems, fetchLine, untagged } from './wire/response.ts';

/**
 * What others changed, as an untagged response. Flags go without UID: Delta Chat takes any FETCH with a UID that it
 * asked for as the answer, body or not, and would lose the mail (core src/imap.rs, fetch_many_msgs).
 */
export function noticeLine(notice: Notice, condstore: boolean): Buffer {
  switch (notice.kind) {
    case 'expunge':
      return untagged.expunge(notice.number);
    case 'exists':
      return untagged.exists(notice.count);
    case 'flags': {
      const { number, flags, modseq } = notice;
      // RFC 7162 3.2.4: with CONDSTORE on, MODSEQ is in each.
      return fetchLine(number, [fetchItems.flags(flags), ...(condstore ? [fetchItems.modseq(modseq)] : [])]);
    }
  }
}
