/** One message for recipients at one destination: what is brought there in one go. */
export interface Consignment {
  /** The domain in lower case, or the address literal with its brackets. */
  readonly destination: string;
  /** MAIL FROM; '' is the null sender. */
  readonly sender: string;
  /** RCPT TO, each once, all at `destination`; at least one. */
  readonly recipients: readonly string[];
  /** As it goes out: CRLF line ends, signed, not dot-stuffed. */
  readonly message: Buffer;
}

/** What became of one recipient of a consignment. */
export type RecipientOutcome =
  | { readonly kind: 'delivered'; readonly via: 'mxdeliv' | 'smtp'; readonly host: string }
  /** `deferred` may go well later, `failed` never will (RFC 3463: 4.x.x and 5.x.x). */
  | { readonly kind: 'deferred' | 'failed'; readonly problem: Problem };

export interface Problem {
  /** RFC 3463, `5.1.1`: the other side's where it gave one, else ours for the case. */
  readonly status: string;
  /** The host that said it, where one did. */
  readonly host: string | undefined;
  /** Its reply as it came (RFC 5321 4.2, lines joined by a space, bounded), where there was one. */
  readonly reply: string | undefined;
  /** What went wrong in plain words, for the DSN and for `teal queue`. No network address of a client of ours. */
  readonly text: string;
}

/**
 * Brings a consignment to its destination, once: finds the hosts, tries them in order, keeps the outcomes of the
 * recipients apart. Never rejects; `outcomes` go by the recipients, in their order. When `signal` is aborted, what has
 * no outcome yet is deferred.
 */
export type SendOut = (consignment: Consignment, signal: AbortSignal) => Promise<readonly RecipientOutcome[]>;
