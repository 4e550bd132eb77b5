import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** A DKIM key for tests, with the record to publish at `selector._domainkey.domain`. */
export interface DkimKey {
  readonly privateKey: KeyObject;
  /** PEM, PKCS#1 for RSA as opendkim-genkey writes it: for the signers of others. */
  readonly pem: string;
  /** The TXT record. */
  readonly record: string;
  /** p= alone, for records of one's own. */
  readonly p: string;
}

/** Makes a key: RSA of `bits` (2048), or Ed25519 whose p= holds the bare key (RFC 8463 4.2). */
export function makeDkimKey(type: 'rsa' | 'ed25519' = 'rsa', bits = 2048): DkimKey {
  if (type === 'ed25519') {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const p = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { privateKey, pem, p, record: `v=DKIM1; k=ed25519; p=${p}` };
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const p = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  return { privateKey, pem, p, record: `v=DKIM1; k=rsa; p=${p}` };
}

type Canonicalization = 'simple' | 'relaxed';

export interface SigningOptions {
  readonly domain: string;
  readonly selector: string;
  readonly key: DkimKey;
  /** a=; follows the key. */
  readonly algorithm?: 'rsa-sha256' | 'rsa-sha1' | 'ed25519-sha256';
  /** c=, header and body; relaxed/relaxed. */
  readonly canonicalization?: readonly [Canonicalization, Canonicalization];
  /** h=; all fields the message has, and From once more. */
  readonly names?: readonly string[];
  /** l=; the body is hashed only that far. */
  readonly bodyLength?: number;
  /** Further tags, or others in place of those made here; undefined leaves a tag out. Values as they go into the field. */
  readonly tags?: Readonly<Record<string, string | undefined>>;
}

/**
 * Puts a DKIM-Signature on top of `message` (CRLF, header and body). Written after RFC 6376 3.4 and 3.7, without any of
 * the code that verifies, and free to sign what no honest signer would.
 */
export function signMessage(message: Buffer, options: SigningOptions): Buffer {
  const { domain, selector, key, canonicalization = ['relaxed', 'relaxed'], bodyLength } = options;
  const [headerCanon, bodyCanon] = canonicalization;
  const isRsa = key.privateKey.asymmetricKeyType === 'rsa';
  const algorithm = options.algorithm ?? (isRsa ? 'rsa-sha256' : 'ed25519-sha256');
  const hash = algorithm.split('-')[1] ?? '';
  const { fields, body } = split(message);
  const names = options.names ?? [...fields.map(nameOf), 'from'];
  const canonicalBody = canonicalize(body, bodyCanon).subarray(0, bodyLength);

  const tags = Object.entries({
    v: '1',
    a: algorithm,
    c: `${headerCanon}/${bodyCanon}`,
    d: domain,
    s: selector,
    h: names.join(':'),
    ...(bodyLength === undefined ? {} : { l: String(bodyLength) }),
    bh: createHash(hash).update(canonicalBody).digest('base64'),
    ...options.tags,
    b: '',
  }).filter(([, value]) => value !== undefined);
  const unsigned = `DKIM-Signature: ${tags.map(([name, value]) => `${name}=${value}`).join(';\r\n\t')}`;

  const signed = Buffer.concat([
    ...pick(fields, names).map((field) => canonicalField(field, headerCanon)),
    // Without its CRLF (RFC 6376 3.7).
    canonicalField(Buffer.from(`${unsigned}\r\n`, 'latin1'), headerCanon).subarray(0, -2),
  ]);
  const signature = isRsa
    ? sign(hash, signed, key.privateKey)
    : sign(null, createHash('sha256').update(signed).digest(), key.privateKey);
  return Buffer.concat([Buffer.from(`${unsigned}${signature.toString('base64')}\r\n`, 'latin1'), message]);
}

function split(message: Buffer): { fields: Buffer[]; body: Buffer } {
  const end = message.indexOf('\r\n\r\n');
  const header = message.subarray(0, end + 2).toString('latin1');
  const fields = header.match(/[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*/g) ?? [];
  return { fields: fields.map((field) => Buffer.from(field, 'latin1')), body: message.subarray(end + 4) };
}

function nameOf(field: Buffer): string {
  return field.subarray(0, field.indexOf(':')).toString('latin1').trim().toLowerCase();
}

/** Fields in the order of `names`, of equal ones the lowest first (RFC 6376 5.4.2). */
function pick(fields: readonly Buffer[], names: readonly string[]): Buffer[] {
  const left = [...fields];
  return names.flatMap((name) => {
    const at = left.findLastIndex((field) => nameOf(field) === name.toLowerCase());
    return at < 0 ? [] : left.splice(at, 1);
  });
}

function canonicalField(field: Buffer, kind: Canonicalization): Buffer {
  if (kind === 'simple') return field;
  const text = field.toString('latin1');
  const value = text
    .slice(text.indexOf(':') + 1)
    .replace(/\r\n/g, '')
    .replace(/[ \t]+/g, ' ');
  return Buffer.from(`${nameOf(field)}:${value.replace(/^ | $/g, '')}\r\n`, 'latin1');
}

/** Body in canonical form (RFC 6376 3.4.3, 3.4.4). Its length is what l= counts. */
export function canonicalize(body: Buffer, kind: Canonicalization): Buffer {
  const lines = body.toString('latin1').split('\r\n');
  const last = lines.pop();
  if (last !== undefined && last !== '') lines.push(last);
  const canonical =
    kind === 'simple' ? lines : lines.map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  while (canonical.at(-1) === '') canonical.pop();
  if (canonical.length === 0) return Buffer.from(kind === 'simple' ? '\r\n' : '');
  return Buffer.from(`${canonical.join('\r\n')}\r\n`, 'latin1');
}
