/**
 * Every refusal Teal utters, in one table: docs/errors.md is made from it. A refusal has two texts: `reply`, for the
 * stranger, stable and without anything private, and `detail`, for our log.
 *
 * SMTP texts are upstream's to the letter where it has the case (relay.md 2 to 4): Delta Chat and other relays match
 * on them.
 */

export interface RefusalKind {
  /** Reply line of SMTP; `{name}` is filled in. */
  readonly smtp: string;
  /** What the sender should do: `later` goes with a 4xx, `never` with a 5xx. */
  readonly retry: 'later' | 'never';
  /** One sentence for docs/errors.md: when it is said, and what helps. */
  readonly meaning: string;
}

export const refusals = {
  starttls_required: {
    smtp: '530 5.7.0 Must issue a STARTTLS command first',
    retry: 'never',
    meaning: 'The client gave a mail or login command before STARTTLS; every connection must be encrypted.',
  },
  too_many_connections: {
    smtp: '421 4.7.0 Too many connections, try again later',
    retry: 'later',
    meaning: 'This network address, or all together, hold as many connections as the settings allow.',
  },
  shutting_down: {
    smtp: '421 4.3.2 Service is going down, try again later',
    retry: 'later',
    meaning: 'The relay is being stopped or restarted.',
  },
  connection_timeout: {
    smtp: '421 4.4.2 Timeout, closing connection',
    retry: 'later',
    meaning: 'The client said nothing for five minutes, or had no TLS and login within the first one.',
  },
  too_many_errors: {
    smtp: '421 4.7.0 Too many errors, closing connection',
    retry: 'later',
    meaning: 'The client gave more wrong or refused commands in a row than any honest client does.',
  },
  command_line: {
    smtp: '500 5.5.2 Error: {reason}',
    retry: 'never',
    meaning:
      'A command line is longer than 2048 octets or does not end in CRLF (RFC 5321 2.3.8 and 4.5.3.1).',
  },
  command_sequence: {
    smtp: '503 5.5.1 Error: {reason}',
    retry: 'never',
    meaning: 'The command does not fit here: MAIL within a transaction, RCPT or DATA without MAIL.',
  },
  command_arguments: {
    smtp: '501 5.5.4 Error: {reason}',
    retry: 'never',
    meaning: 'The arguments of the command, or the value of a parameter, cannot be read.',
  },
  parameter_unknown: {
    smtp: '555 5.5.4 Unsupported option: {option}',
    retry: 'never',
    meaning: 'MAIL or RCPT has a parameter of an extension that EHLO did not offer (RFC 5321 4.1.1.11).',
  },
  authentication_required: {
    smtp: '530 5.7.0 Authentication required',
    retry: 'never',
    meaning: 'A mail command on a submission port came before AUTH.',
  },
  authentication_failed: {
    smtp: '535 5.7.8 Error: authentication failed',
    retry: 'never',
    meaning: 'The password does not fit, or no account can be made with this name and password.',
  },
  login_unavailable: {
    smtp: '454 4.7.0 Temporary failure, try again later',
    retry: 'later',
    meaning:
      'Login could not be checked now: the store does not answer, or too many logins are in progress, or no account is made for a while.',
  },
  sender_syntax: {
    smtp: '501 5.1.7 Bad sender address syntax',
    retry: 'never',
    meaning: 'MAIL FROM does not hold an address that can be read.',
  },
  recipient_syntax: {
    smtp: '501 5.1.3 Bad recipient address syntax',
    retry: 'never',
    meaning: 'RCPT TO does not hold an address that can be read.',
  },
  sender_not_owned: {
    smtp: '553 5.7.1 <{sender}>: Sender address rejected: not owned by user {user}',
    retry: 'never',
    meaning: 'MAIL FROM on a submission port is not the address that logged in.',
  },
  rate_limited: {
    smtp: '450 4.7.1: Too much mail from {sender}, rate limited until: {until}',
    retry: 'later',
    meaning: 'The account sends faster than max_user_send_per_minute with its burst allows.',
  },
  recipients_limited: {
    smtp: '450 4.7.1: Too many recipients from {sender}, rate limited until: {until}',
    retry: 'later',
    meaning: 'The account has written to more recipients within an hour than max_user_recipients_per_hour.',
  },
  relay_denied: {
    smtp: '554 5.7.1 <{recipient}>: Relay access denied',
    retry: 'never',
    meaning: 'Mail from outside is taken for addresses of this relay only.',
  },
  recipient_domain: {
    smtp: '550 5.1.2 <{recipient}>: Recipient address rejected: Domain not found',
    retry: 'never',
    meaning:
      'A user wrote to an address whose domain has no dot, so that no mail can go there (RFC 5321 2.3.5).',
  },
  too_many_recipients: {
    smtp: '452 4.5.3 Error: too many recipients',
    retry: 'later',
    meaning: 'More than 1000 recipients in one transaction (METADATA announces the number).',
  },
  no_valid_recipients: {
    smtp: '554 5.5.1 Error: no valid recipients',
    retry: 'never',
    meaning: 'DATA came before any recipient was accepted.',
  },
  message_too_big: {
    smtp: '552 5.3.4 Message size exceeds fixed limit',
    retry: 'never',
    meaning: 'The message is larger than max_message_size.',
  },
  busy: {
    smtp: '452 4.3.1 Insufficient system storage, try again later',
    retry: 'later',
    meaning: 'So many messages are under way that this one does not fit in memory now.',
  },
  message_empty: {
    smtp: '554 5.6.0 Empty message',
    retry: 'never',
    meaning: 'DATA held nothing; some relays send that after a refused recipient (RFC 2920).',
  },
  line_endings: {
    smtp: '500 Invalid DATA',
    retry: 'never',
    meaning:
      'The message holds a carriage return or line feed that is not part of a CRLF: mail is not smuggled here.',
  },
  nul_byte: {
    smtp: '554 5.6.0 Message contains a NUL byte',
    retry: 'never',
    meaning: 'The message holds a NUL byte, which no IMAP client can be given (RFC 9051, CHAR8).',
  },
  malformed_message: {
    smtp: '500 Failed to parse message: {reason}',
    retry: 'never',
    meaning: 'The message has no header that can be read.',
  },
  from_invalid: {
    smtp: '500 Invalid FROM header: {reason}',
    retry: 'never',
    meaning: 'There must be exactly one From field with exactly one address.',
  },
  from_mismatch: {
    smtp: '500 Invalid FROM <{from}> for <{sender}>',
    retry: 'never',
    meaning: 'The From field of a submitted message is not the address that sends it.',
  },
  not_encrypted: {
    smtp: '523 Encryption Needed: Invalid Unencrypted Mail',
    retry: 'never',
    meaning: 'Only end-to-end encrypted mail is let through; docs/architecture.md lists the exceptions.',
  },
  dkim_missing: {
    smtp: '554 5.7.1 No DKIM signature found: No valid DKIM signature found',
    retry: 'never',
    meaning:
      'Mail from outside must be signed by the domain of its From address; this one has no signature at all.',
  },
  dkim_invalid: {
    smtp: '554 5.7.1 No valid DKIM signature found',
    retry: 'never',
    meaning:
      'No signature verifies for the domain of the From address; the log says what was wrong with each.',
  },
  dkim_temporary: {
    smtp: '451 4.7.5 DKIM key could not be fetched, try again later',
    retry: 'later',
    meaning: 'A signature of the right domain could not be checked because DNS did not answer.',
  },
  literal_mismatch: {
    smtp: '554 5.7.1 From address literal is not the connecting address',
    retry: 'never',
    meaning: 'A From at an address literal counts only when it comes from that very address.',
  },
  mailbox_full: {
    smtp: '552 5.2.2 Mailbox full',
    retry: 'never',
    meaning:
      'No recipient has room for the message (max_mailbox_size), and all their mail is younger than a day.',
  },
  store_unavailable: {
    smtp: '451 4.3.0 Mail store does not answer, try again later',
    retry: 'later',
    meaning: 'The message could not be written durably; nothing of it was kept.',
  },
  internal: {
    smtp: '451 4.3.0 Internal error, try again later',
    retry: 'later',
    meaning: 'A fault of Teal itself; the log has the stack.',
  },
} as const satisfies Record<string, RefusalKind>;

/** Stable name of a refusal: log field, metric label, key of docs/errors.md. */
export type RefusalCode = keyof typeof refusals;

export interface Refusal {
  readonly code: RefusalCode;
  /** The whole SMTP reply, one line without CRLF. */
  readonly reply: string;
  /** For our log alone: no message content, password, token or network address. */
  readonly detail: string;
}

/** Placeholders are cut to this many characters: replies stay within RFC 5321 4.5.3.1.5 (512 octets). */
const MAX_PLACEHOLDER = 100;

/** Makes the refusal `code`, its reply's `{name}`s filled from `values` (control and non-ASCII characters become `?`). */
export function refuse(code: RefusalCode, detail: string, values: Record<string, string> = {}): Refusal {
  const reply = refusals[code].smtp.replace(/\{(\w+)\}/g, (_, name: string) =>
    (values[name] ?? '').slice(0, MAX_PLACEHOLDER).replace(/[^\x20-\x7e]/g, '?'),
  );
  return { code, reply, detail };
}
