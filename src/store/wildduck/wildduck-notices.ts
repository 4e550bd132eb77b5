import type { AccountId } from '../contract.ts';

/** The Redis channel by which WildDuck's programs tell each other that an account's journal has grown. */
export const WILDDUCK_CHANNEL = 'wd_events';

/** Marks what Teal says there, which Teal itself hears by its own channel; WildDuck looks at `e` and `p` alone. */
const TEAL = 'teal';

/** What Teal says there, for WildDuck's IMAP sessions to look at the journal. */
export function wildduckNotice(account: AccountId): string {
  return JSON.stringify({ e: account, t: TEAL });
}

/** The account that another program than Teal has changed something of; undefined for anything else. */
export function readWildduckNotice(message: string): AccountId | undefined {
  let notice: unknown;
  try {
    notice = JSON.parse(message);
  } catch {
    return undefined;
  }
  if (typeof notice !== 'object' || notice === null) return undefined;
  if ('t' in notice && notice.t === TEAL) return undefined;
  return 'e' in notice && typeof notice.e === 'string' ? (notice.e as AccountId) : undefined;
}
