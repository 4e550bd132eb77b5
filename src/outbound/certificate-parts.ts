/** What node:crypto does not tell of a certificate (X.509, RFC 5280 4.1): DER bytes in, values out, no IO. */

export interface CertificateParts {
  /** SubjectPublicKeyInfo as it stands there, to the byte: TLSA records hash it so (RFC 6698 2.1.2). */
  readonly publicKey: Buffer;
  readonly extensions: readonly Extension[];
}

export interface Extension {
  /** The bytes of the object identifier, in hex. */
  readonly id: string;
  readonly critical: boolean;
  /** DER. */
  readonly value: Buffer;
}

/** Elements of one certificate that are looked at; the bound of a walk over bytes of a stranger's. */
const MAX_ELEMENTS = 200;

const TAG = { boolean: 0x01, integer: 0x02, octets: 0x04, sequence: 0x30, version: 0xa0, extensions: 0xa3 };

/** Undefined where it is no certificate. */
export function certificateParts(certificate: Buffer): CertificateParts | undefined {
  try {
    const [body] = elements(only(elements(certificate), TAG.sequence));
    const fields = elements(only([body], TAG.sequence));
    // Version is left out of those of version 1; then serial, algorithm, issuer, validity, subject.
    const start = fields[0]?.tag === TAG.version ? 1 : 0;
    const publicKey = fields[start + 5];
    if (publicKey?.tag !== TAG.sequence) return undefined;
    const list = fields.find(({ tag }) => tag === TAG.extensions);
    const extensions = list === undefined ? [] : elements(only(elements(list.content), TAG.sequence));
    return { publicKey: publicKey.whole, extensions: extensions.map(({ content }) => extensionOf(content)) };
  } catch {
    return undefined;
  }
}

/** RFC 5280 4.2.1.9: how many authorities may stand below this one; undefined where it says nothing. */
export function pathLengthOf(basicConstraints: Buffer): number | undefined {
  const length = elements(only(elements(basicConstraints), TAG.sequence)).find(
    ({ tag }) => tag === TAG.integer,
  );
  return length?.content.readUIntBE(0, length.content.length);
}

/** RFC 5280 4.2.1.3: whether the key may sign certificates, bit 5. */
export function maySignCertificates(keyUsage: Buffer): boolean {
  // A bit string: the count of unused bits, then the bits.
  const [bits] = elements(keyUsage);
  return ((bits?.content[1] ?? 0) & 0x04) !== 0;
}

function extensionOf(content: Buffer): Extension {
  const [id, ...rest] = elements(content);
  const critical = rest.some(({ tag, content: [value] }) => tag === TAG.boolean && value !== 0);
  const value = rest.find(({ tag }) => tag === TAG.octets)?.content ?? Buffer.alloc(0);
  return { id: id?.content.toString('hex') ?? '', critical, value };
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

/** The elements that stand one behind the other. Throws where they do not fill the bytes. */
function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes.readUInt8(at);
    const first = bytes.readUInt8(at + 1);
    // X.690 8.1.3: short, or the count of the bytes that hold it.
    const size = first < 0x80 ? 0 : first - 0x80;
    const length = size === 0 ? first : bytes.readUIntBE(at + 2, size);
    const start = at + 2 + size;
    if (start + length > bytes.length || found.length >= MAX_ELEMENTS) throw new RangeError('no DER');
    found.push({
      tag,
      content: bytes.subarray(start, start + length),
      whole: bytes.subarray(at, start + length),
    });
    at = start + length;
  }
  return found;
}

function only([element]: readonly (Element | undefined)[], tag: number): Buffer {
  if (element?.tag !== tag) throw new RangeError('another element');
  return element.content;
}
