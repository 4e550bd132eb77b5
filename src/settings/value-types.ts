import { isIP, isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { quoted } from './ini.ts';
import { networkProblem } from './network.ts';

/** How the value of a setting is written. Reading is pure: no file is opened, nothing is looked up. */
export interface ValueType<T> {
  /** What may be written, as errors and docs/settings.md put it: `a whole number from 1 to 64`. */
  readonly allowed: string;
  /** The value, or undefined where `text` is none of what is allowed. Relative paths start at `base`. */
  parse(text: string, base: string): { readonly value: T } | undefined;
  /** Where text of several parts is none of what is allowed: which part, and why. */
  problem?(text: string): string | undefined;
  /** Back to text; `parse` of it is the value again. */
  format(value: T): string;
}

/** 15 digits: beyond that a number is no longer exact. */
const DIGITS = /^\d{1,15}$/;

export function wholeNumber(min: number, max: number, unit = ''): ValueType<number> {
  return {
    allowed: `a whole number${unit && ` of ${unit}`} from ${min} to ${max}`,
    parse: (text) => within(DIGITS.test(text) ? Number(text) : NaN, min, max),
    format: String,
  };
}

export function decimalNumber(min: number, max: number): ValueType<number> {
  return {
    allowed: `a number from ${min} to ${max}`,
    parse: (text) => within(/^\d{1,10}(\.\d{1,5})?$/.test(text) ? Number(text) : NaN, min, max),
    format: String,
  };
}

/** 0 is for tests: the system picks a free port. */
export const port: ValueType<number> = {
  ...wholeNumber(0, 65535),
  allowed: 'a port from 1 to 65535, or 0 for any free one',
};

/** A port that may be left closed. */
export const optionalPort: ValueType<number | undefined> = {
  allowed: `${port.allowed}, or \`off\``,
  parse: (text, base) => (text.toLowerCase() === 'off' ? { value: undefined } : port.parse(text, base)),
  format: (value) => (value === undefined ? 'off' : String(value)),
};

export const MEBIBYTE = 1024 * 1024;

/**
 * A number of bytes, written as upstream does (config.py, parse_size_mb): `500M`, `2G`, `500MB`, always powers of
 * 1024. What a bare number counts differs by setting there, so it does here. `min` and `max` are in bytes.
 */
export function size(bare: 'bytes' | 'mebibytes', min: number, max: number): ValueType<number> {
  const range = `from ${sizeText(min)} to ${sizeText(max)}`;
  return {
    allowed:
      bare === 'bytes'
        ? `a number of bytes, or a size such as 30M or 1G, ${range}`
        : `a size such as 500M or 2G (a bare number counts megabytes), ${range}`,
    parse: (text) => {
      const match = /^(\d{1,15})\s*(?:([MG])B?)?$/i.exec(text);
      const unit = match?.[2]?.toUpperCase() ?? bare;
      const factor = unit === 'bytes' ? 1 : unit === 'G' ? 1024 * MEBIBYTE : MEBIBYTE;
      return within(Number(match?.[1]) * factor, min, max);
    },
    format: bare === 'bytes' ? String : sizeText,
  };
}

function sizeText(bytes: number): string {
  if (bytes > 0 && bytes % (1024 * MEBIBYTE) === 0) return `${bytes / (1024 * MEBIBYTE)}G`;
  return bytes % MEBIBYTE === 0 ? `${bytes / MEBIBYTE}M` : String(bytes);
}

const YES = new Set(['true', 'yes', 'on', '1']);
const NO = new Set(['false', 'no', 'off', '0']);

/**
 * Python's configparser words, in any case. Upstream itself takes `true` for yes and reads everything else as no; a
 * word in neither list is an error here.
 */
export const yesNo: ValueType<boolean> = {
  allowed: 'true or false (also yes/no, on/off, 1/0)',
  parse: (text) => {
    const word = text.toLowerCase();
    return YES.has(word) ? { value: true } : NO.has(word) ? { value: false } : undefined;
  },
  format: String,
};

export function oneOf<const W extends string>(...words: readonly W[]): ValueType<W> {
  return {
    allowed: words.length === 1 ? `\`${words[0]}\`, the only one so far` : words.join(', '),
    parse: (text) => {
      const value = words.find((word) => word === text.toLowerCase());
      return value === undefined ? undefined : { value };
    },
    format: String,
  };
}

/** Free text, lines joined by `\n`. Postal addresses and web pages are well below this many characters. */
const MAX_TEXT = 2000;

export const freeText: ValueType<string> = {
  allowed: `up to ${MAX_TEXT} characters, or empty`,
  parse: (text) => (text.length <= MAX_TEXT ? { value: text } : undefined),
  format: String,
};

/** RFC 5321 4.5.3.1.3: 256 octets with the angle brackets. No attempt at more grammar than a typing error needs. */
export const mailAddress: ValueType<string> = {
  allowed: 'a mail address, or empty',
  parse: (text) =>
    text === '' || (/^[^\s@<>,;"]{1,64}@[^\s@<>,;"]+$/.test(text) && text.length <= 254)
      ? { value: text }
      : undefined,
  format: String,
};

/** Made absolute; where `mayBeEmpty`, the empty text stays empty. */
export function path(mayBeEmpty = false): ValueType<string> {
  return {
    allowed: `a path${mayBeEmpty ? ', or empty' : ''}`,
    parse: (text, base) => {
      if (text === '') return mayBeEmpty ? { value: '' } : undefined;
      return isOneLine(text) ? { value: resolve(base, text) } : undefined;
    },
    format: String,
  };
}

export interface CertAndKeyPaths {
  readonly cert: string;
  readonly key: string;
}

/** Two paths parted by white space, as upstream: `CERT_PATH KEY_PATH`. Empty is the same as not set. */
export const certAndKeyPaths: ValueType<CertAndKeyPaths | undefined> = {
  allowed: 'two paths parted by a space (certificate chain, then key), or empty',
  parse: (text, base) => {
    if (text === '') return { value: undefined };
    const [cert, key, more] = text.split(/\s+/);
    if (!cert || !key || more !== undefined || text.includes('\0')) return undefined;
    return { value: { cert: resolve(base, cert), key: resolve(base, key) } };
  },
  format: (paths) => (paths ? `${paths.cert} ${paths.key}` : ''),
};

/** `http:` is let through for notifiers and relays on the same machine or in tests. */
export function url(mayBeEmpty = false): ValueType<string> {
  return {
    allowed: `an http:// or https:// URL${mayBeEmpty ? ', or empty' : ''}`,
    parse: (text) => {
      if (text === '') return mayBeEmpty ? { value: '' } : undefined;
      if (/\s/.test(text) || !/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
      return { value: text };
    },
    format: String,
  };
}

/** mongodb.com/docs/manual/reference/connection-string: several hosts have commas between them, so it is no WHATWG URL. */
export const mongodbUrl: ValueType<string> = {
  allowed: 'a mongodb:// or mongodb+srv:// connection string',
  parse: (text) => (/^mongodb(\+srv)?:\/\/[^\s/]+(\/\S*)?$/.test(text) ? { value: text } : undefined),
  format: String,
};

/** `rediss:` is Redis over TLS; the path is the number of the database. */
export const redisUrl: ValueType<string> = {
  allowed: 'a redis:// or rediss:// URL',
  parse: (text) => (/^rediss?:\/\/\S+$/.test(text) && URL.canParse(text) ? { value: text } : undefined),
  format: String,
};

/** What MongoDB takes on every system as the name of a database (63 bytes, manual: Naming Restrictions), in lower case. */
export const databaseName: ValueType<string> = {
  allowed: 'up to 38 of a-z, 0-9, - and _, a letter first',
  parse: (text) => (/^[a-z][a-z0-9_-]{0,37}$/.test(text) ? { value: text } : undefined),
  format: String,
};

/** RFC 6376 3.1: labels of a DNS name (RFC 1123 2.1). Short, so that with the domain it still is a name. */
export const dkimSelector: ValueType<string> = {
  allowed: 'up to 63 of a-z, 0-9 and -, also in parts joined by dots',
  parse: (text) => {
    const value = text.toLowerCase();
    const label = '[a-z0-9]([a-z0-9-]*[a-z0-9])?';
    return value.length <= 63 && new RegExp(`^${label}(\\.${label})*$`).test(value) ? { value } : undefined;
  },
  format: String,
};

export const ipAddress: ValueType<string> = {
  allowed: 'an IPv4 or IPv6 address',
  parse: (text) => (isIP(text) === 0 ? undefined : { value: text }),
  format: String,
};

/** No machine needs more; the resolver goes through all of them when one is silent. */
const MAX_SERVERS = 8;

const MAX_DOMAINS = 1000;

/** Domains in lower case. */
export const domainList: ValueType<readonly string[]> = {
  allowed: `up to ${MAX_DOMAINS} domains, parted by spaces or commas; or empty`,
  parse: (text) => {
    const value = text
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((part) => part !== '');
    const isDomain = (part: string) => part.length < 254 && /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(part);
    return value.every(isDomain) && value.length <= MAX_DOMAINS ? { value } : undefined;
  },
  format: (domains) => domains.join(' '),
};

/** DNS servers in the form node:dns takes, `203.0.113.5:53` and `[2001:db8::5]:53`; without a port it is 53. */
export const serverList: ValueType<readonly string[]> = {
  allowed: `up to ${MAX_SERVERS} of IPV4:PORT or [IPV6]:PORT, parted by spaces or commas; the port may be left out; or empty`,
  parse: (text) => {
    const servers = text.split(/[\s,]+/).filter((part) => part !== '');
    const value = servers.map(serverAddress).filter((server) => server !== undefined);
    return value.length === servers.length && value.length <= MAX_SERVERS ? { value } : undefined;
  },
  format: (servers) => servers.join(' '),
};

/** Proxies of one relay; each connection is compared with all of them. */
const MAX_NETWORKS = 64;

/** Addresses and networks, in lower case. */
export const networkList: ValueType<readonly string[]> = {
  allowed: `up to ${MAX_NETWORKS} addresses and networks such as 192.0.2.0/24 or 2001:db8::/32, parted by spaces or commas; or empty`,
  parse: (text) => {
    const value = partsOf(text.toLowerCase());
    const fits = value.length <= MAX_NETWORKS && value.every((part) => networkProblem(part) === undefined);
    return fits ? { value } : undefined;
  },
  problem: (text) =>
    partsOf(text)
      .flatMap((part) => {
        const problem = networkProblem(part);
        return problem === undefined ? [] : [`${quoted(part)} ${problem}`];
      })
      .at(0),
  format: (networks) => networks.join(' '),
};

function partsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '');
}

function serverAddress(text: string): string | undefined {
  if (isIP(text) !== 0) return isIPv4(text) ? `${text}:53` : `[${text}]:53`;
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/i.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const number = Number(match?.[3] ?? 53);
  if (isIP(host) === 0 || number < 1 || number > 65535) return undefined;
  return match?.[1] === undefined ? `${host}:${number}` : `[${host}]:${number}`;
}

function within(value: number, min: number, max: number): { value: number } | undefined {
  return value >= min && value <= max ? { value } : undefined;
}

function isOneLine(text: string): boolean {
  return !/[\0\r\n]/.test(text);
}
