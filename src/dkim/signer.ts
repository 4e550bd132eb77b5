/** Signs what leaves the relay (RFC 6376). */
export interface Signer {
  /**
   * Names the keys that sign now; a message signed with others is signed anew. '' where nothing signs (the domain is an
   * address literal): then `sign` gives ''.
   */
  keys(): Promise<string>;
  /** The DKIM-Signature fields for a message, each ended by CRLF, to be put before it; at most MAX_SIGNATURE characters. */
  sign(message: Buffer): Promise<string>;
}
