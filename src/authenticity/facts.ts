/** What is known of one DKIM-Signature field. */
export interface SignatureFact {
  /** d= in lower case; '' where it cannot be read. */
  readonly domain: string;
  /** s= in lower case; '' where it cannot be read. */
  readonly selector: string;
  /**
   * `valid` it verifies and nothing of the message is left unsigned; `temporary` its key could not be fetched;
   * `unchecked` its domain is not the From address's, so that it cannot count and DNS was not asked.
   */
  readonly status: 'valid' | 'invalid' | 'temporary' | 'unchecked';
  /** In plain words, without content of the message; 'valid' where it is. */
  readonly reason: string;
}

/** What is known of a message's signatures: enough for judgeDkim, and for the log. */
export interface DkimFacts {
  /** Domain of the one From address, lower case; missing where there is no such address. */
  readonly fromDomain?: string;
  /** The first MAX_SIGNATURES, in the order of the message. */
  readonly signatures: readonly SignatureFact[];
  /** DKIM-Signature fields in all. */
  readonly count: number;
}

/** Signatures looked at, from the top: upstream's number (relay.md 4). Mail in the field has up to 4. */
export const MAX_SIGNATURES = 10;
