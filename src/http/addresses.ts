/** How the world reaches this relay: what links, autoconfig and pages are made from. */
export interface Addresses {
  /** The mail domain as clients dial it: a name, or an IPv4 address without brackets. */
  readonly host: string;
  readonly isIpv4: boolean;
  /** Whether clients that check certificates in earnest take ours. Asked each time: certificates come and go. */
  readonly certificateIsPublic: () => boolean;
  /** The ports bound, by the key of their setting; `https_port` is where this page is. */
  readonly ports: () => {
    readonly imaps_port: number;
    readonly imap_port: number;
    readonly submissions_port: number;
    readonly submission_port: number;
    readonly https_port: number;
  };
}

/** `https://relay.example`, with the port where it is not 443. */
export function originAt(host: string, https: number): string {
  return https === 443 ? `https://${host}` : `https://${host}:${https}`;
}

export function originOf({ host, ports }: Addresses): string {
  return originAt(host, ports().https_port);
}

/** Where an account is made; with a token, what is given out as an invitation. */
export function newAccountUrl(origin: string, token?: string): string {
  return `${origin}/new${token === undefined ? '' : `?token=${encodeURIComponent(token)}`}`;
}

/**
 * Whether a client can come in by `dclogin:` alone: an address has no `dcaccount:` form that works (client.md 1.1), and
 * a certificate of our own is taken in earnest only for names that start with `_` (client.md 1.8).
 */
export function needsLoginLink({ host, isIpv4, certificateIsPublic }: Addresses): boolean {
  return isIpv4 || (!host.startsWith('_') && !certificateIsPublic());
}

/**
 * The link that makes an account through `/new` (client.md 1.1); every Delta Chat there is understands this form. It
 * checks the certificate strictly, which a name that starts with `_` passes with one of its own.
 */
export function accountLink(addresses: Addresses, token?: string): string {
  return `dcaccount:${newAccountUrl(originOf(addresses), token)}`;
}

/**
 * The link that logs in with a certificate of our own (client.md 1.2): `ic=3` takes it. Servers are named where the
 * client could not find them: at a bare address, and on other ports than the usual ones.
 */
export function loginLink(addresses: Addresses, address: string, password: string): string {
  const { host, isIpv4 } = addresses;
  const { imaps_port: imaps, submissions_port: submissions } = addresses.ports();
  const query = [`p=${encodeURIComponent(password)}`, 'v=1'];
  const unusual = imaps !== 993 || submissions !== 465;
  if (isIpv4 || unusual) query.push(`ih=${host}`, `sh=${host}`);
  if (unusual) query.push(`ip=${imaps}`, 'is=ssl', `sp=${submissions}`, 'ss=ssl');
  return `dclogin:${address}?${query.join('&')}&ic=3`;
}
