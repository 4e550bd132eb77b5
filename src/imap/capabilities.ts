/** What decides about the capabilities of a session. */
export interface CapabilityState {
  /** TLS is on. */
  readonly secure: boolean;
  readonly loggedIn: boolean;
  /** The setting imap_compress, and whether it is on already: it cannot be put on twice (RFC 4978 3). */
  readonly compress: 'off' | 'offered' | 'active';
}

/**
 * The order is what clients see in their logs. Only what is wholly there is named. Delta Chat compares case-sensitively
 * and looks at ID, IDLE, MOVE, QUOTA, METADATA, COMPRESS=DEFLATE, XDELTAPUSH and XCHATMAIL (client.md 2.3); CONDSTORE
 * makes cores up to 2.53 ask by CHANGEDSINCE. XDELTAPUSH and XCHATMAIL must show before login too (relay.md 6).
 */
const ALWAYS = [
  'IMAP4rev1',
  'LITERAL+',
  'SASL-IR',
  'ID',
  'IDLE',
  'UIDPLUS',
  'MOVE',
  'CHILDREN',
  'NAMESPACE',
  'CONDSTORE',
  'ENABLE',
  'UNSELECT',
  'QUOTA',
  'METADATA',
  'XDELTAPUSH',
  'XCHATMAIL',
];

export function capabilitiesOf({ secure, loggedIn, compress }: CapabilityState): readonly string[] {
  const list = [...ALWAYS];
  // RFC 9051 6.2.3: login is refused in the clear, and the client is told so before it sends a password.
  if (!secure) list.push('STARTTLS', 'LOGINDISABLED');
  else if (!loggedIn) list.push('AUTH=PLAIN');
  if (loggedIn && compress === 'offered') list.push('COMPRESS=DEFLATE');
  return list;
}
