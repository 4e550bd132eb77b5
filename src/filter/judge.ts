import { refuse } from '../errors.ts';
import type { Refusal } from '../errors.ts';
import { addressOfFrom, parseMailbox } from '../message/address.ts';
import type { Author } from '../message/address.ts';
import type { Header } from '../message/header.ts';
import { isEncrypted } from './encrypted.ts';
import { isBounce, isSecureJoinRequest, isSetupMessage } from './exceptions.ts';

export interface Refused {
  readonly ok: false;
  readonly refusal: Refusal;
}

/** Why a message passes. `cleartext`: every recipient takes it. */
export type Passes<Reason> = { readonly ok: true; readonly as: Reason; readonly author: Author };

export type OutgoingJudgement = Passes<'encrypted' | 'secure-join' | 'setup-message'> | Refused;
export type IncomingJudgement = Passes<'encrypted' | 'secure-join' | 'bounce' | 'cleartext'> | Refused;

export interface OutgoingFacts {
  readonly message: Buffer;
  readonly header: Header;
  /** MAIL FROM. */
  readonly sender: string;
  /** RCPT TO, all of them. */
  readonly recipients: readonly string[];
}

export interface IncomingFacts {
  readonly message: Buffer;
  readonly header: Header;
  /**
   * For each recipient that has an account, whether it takes cleartext. Where there is none the message is judged as
   * for one that does not: an unknown address must not be told from a known one by its reply.
   */
  readonly acceptsCleartext: readonly boolean[];
}

/** Whether a user of ours may send this message: the order and the replies of relay.md 3, "Outgoing", 2 to 7. */
export function judgeOutgoing(facts: OutgoingFacts): OutgoingJudgement {
  const { message, header, sender, recipients } = facts;
  const judged = checkSender(header, sender);
  if (!judged.ok) return judged;
  const { author } = judged;
  const encrypted = isEncrypted(message, header, 'outgoing');
  if (encrypted.encrypted) return { ok: true, as: 'encrypted', author };
  if (isSecureJoinRequest(message, header)) return { ok: true, as: 'secure-join', author };
  if (isSetupMessage(header, sender, recipients)) return { ok: true, as: 'setup-message', author };
  return refused('not_encrypted', encrypted.why);
}

/**
 * Whether a message from outside may come in, but for its DKIM signature: relay.md 3, "Incoming", 1 and 3 to 5. The
 * author of the answer is the one whose domain must have signed.
 */
export function judgeIncoming(facts: IncomingFacts): IncomingJudgement {
  const { message, header, acceptsCleartext } = facts;
  const judged = checkAuthor(header);
  if (!judged.ok) return judged;
  const { author } = judged;
  const encrypted = isEncrypted(message, header, 'incoming');
  if (encrypted.encrypted) return { ok: true, as: 'encrypted', author };
  if (isSecureJoinRequest(message, header)) return { ok: true, as: 'secure-join', author };
  if (isBounce(header)) return { ok: true, as: 'bounce', author };
  if (acceptsCleartext.length > 0 && acceptsCleartext.every((accepts) => accepts)) {
    return { ok: true, as: 'cleartext', author };
  }
  return refused('not_encrypted', encrypted.why);
}

/** There is a header that every reader reads alike, and it names one author. */
export function checkAuthor(header: Header): { readonly ok: true; readonly author: Author } | Refused {
  if (header.malformed !== undefined) {
    return refused('malformed_message', header.malformed, { reason: header.malformed });
  }
  const author = addressOfFrom(header);
  if ('problem' in author) return refused('from_invalid', author.problem, { reason: author.problem });
  return { ok: true, author };
}

/** The one author is also the envelope's sender, compared without regard to case. */
export function checkSender(
  header: Header,
  mailFrom: string,
): { readonly ok: true; readonly author: Author } | Refused {
  const judged = checkAuthor(header);
  if (!judged.ok) return judged;
  const mailbox = parseMailbox(mailFrom);
  const sender = mailbox && `${mailbox.local}@${mailbox.domain}`.toLowerCase();
  if (judged.author.address === sender) return judged;
  return refused('from_mismatch', 'From is not MAIL FROM', { from: judged.author.address, sender: mailFrom });
}

function refused(code: Refusal['code'], detail: string, values?: Record<string, string>): Refused {
  return { ok: false, refusal: refuse(code, detail, values) };
}
