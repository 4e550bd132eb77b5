import type { Refusal } from '../errors.ts';

/** What becomes of a message: taken for good, or refused with a text for the stranger and one for us. */
export type Verdict = { readonly accepted: true } | { readonly accepted: false; readonly refusal: Refusal };

export const accepted: Verdict = { accepted: true };

export function refused(refusal: Refusal): Verdict {
  return { accepted: false, refusal };
}

/** The envelope of RFC 5321 with what the session knows beside it. */
export interface Envelope {
  /** MAIL FROM; '' is the null sender. */
  readonly sender: string;
  /** RCPT TO, as given, at least one. */
  readonly recipients: readonly string[];
  /** The peer's network address: for address literals alone, never logged. */
  readonly peer: string;
  /** Names the session in our log. */
  readonly session: string;
}

/** A listener hands each message to one of these: `receive` on port 25, `submit` on the submission ports. */
export type TakeMessage = (envelope: Envelope, message: Buffer) => Promise<Verdict>;
