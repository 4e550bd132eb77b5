/** Lengths of new names and passwords (username_min_length, username_max_length, password_min_length). */
export interface CreationRules {
  readonly usernameMinLength: number;
  readonly usernameMaxLength: number;
  /** In characters, as upstream counts. */
  readonly passwordMinLength: number;
}

/** relay.md 2: upstream's rule for a new name; its gate for every login is the same set, with capitals. */
const LOCAL_PART = /^[a-z0-9._-]+$/;
/**
 * RFC 5321 4.1.2, Dot-string. Upstream gives away `a..b` and `.a` as well, but no address can name them without quotes:
 * such an account could neither send nor be written to.
 */
const DOT_STRING = /^[^.]+(?:\.[^.]+)*$/;
/** RFC 5321 4.5.3.1.1. */
const MAX_LOCAL_PART = 64;

/**
 * Names that a stranger must not get, without dots, dashes and underscores (see `reservedName`).
 * RFC 2142: the addresses at which the world expects the operator. CA/Browser Forum Baseline Requirements 3.2.2.4.4:
 * whoever reads mail to one of the five gets certificates for the domain; some CAs took others in the past.
 */
const RESERVED: ReadonlySet<string> = new Set(
  [
    // RFC 2142 3 to 5
    'info marketing sales support abuse noc security',
    'postmaster hostmaster usenet news webmaster www uucp ftp',
    // CA validation, now and in former times
    'admin administrator root sysadmin ssladmin ssladministrator sslwebmaster is it mis',
    // senders and owners of system mail: a user must not be able to speak in their name
    'mailerdaemon daemon nobody noreply donotreply mail smtp imap system operator',
    // where reports about the domain are sent (RFC 7489, RFC 8460), and what RFC 8555 clients and pages may name
    'dmarc tlsrpt tlsreport acme privacy',
  ].flatMap((names) => names.split(' ')),
);

/**
 * `login` as the address it stands for, lower case; undefined where it cannot be an account of `domain`: not exactly
 * one `@`, another domain, or a letter that no name has. `user+tag` is not a login name: the tag belongs to delivery.
 */
export function loginAddress(login: string, domain: string): string | undefined {
  const parts = login.split('@');
  const [local, host] = parts;
  if (parts.length !== 2 || local === undefined || host === undefined) return undefined;
  // Letters of other scripts that become ASCII when lowered (U+212A) are no way around the set.
  if (!LOCAL_PART.test(lowerAscii(local)) || local.length > MAX_LOCAL_PART) return undefined;
  if (lowerAscii(host) !== domain) return undefined;
  return `${lowerAscii(local)}@${domain}`;
}

/**
 * Why no account can be made with this name and password; undefined where one can. `address` comes from `loginAddress`.
 * For new accounts alone: those that are there keep their names and passwords whatever the rules become.
 */
export function creationRefused(address: string, password: string, rules: CreationRules): string | undefined {
  const local = address.slice(0, address.lastIndexOf('@'));
  if (!LOCAL_PART.test(local)) return 'the name has letters that names may not have';
  if (local.length < rules.usernameMinLength) return 'the name is too short';
  if (local.length > rules.usernameMaxLength) return 'the name is too long';
  if (isReservedName(local)) return 'the name is reserved';
  if (!DOT_STRING.test(local)) return 'the name has a dot at an end, or two together';
  if ([...password].length < rules.passwordMinLength) return 'the password is too short';
  return undefined;
}

/**
 * Whether the name is never given away. Dots, dashes and underscores do not count: `web.master` looks like the real
 * one, and a store may hold both for one account (WildDuck strips dots). With upstream's length of nine this is about
 * `webmaster` and `marketing`; with other lengths about all of them.
 */
export function isReservedName(local: string): boolean {
  return RESERVED.has(local.replace(/[._-]/g, ''));
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
