/** What a client says first (RFC 8446 4.1.2), as far as it decides who serves it. */
export interface ClientHello {
  /** Lower case; undefined where the client names no server (RFC 6066 3). */
  readonly serverName: string | undefined;
  /** In the order of the client's liking; empty where it offers none (RFC 7301 3.1). */
  readonly protocols: readonly string[];
}

/** `incomplete`: more bytes are needed. `invalid`: what comes is no ClientHello. */
export type HelloReading = ClientHello | 'incomplete' | 'invalid';

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
/** RFC 8446 5.1: a record holds 2^14 bytes at most. */
const MAX_RECORD = 16_384;

/** Reads the ClientHello at the start of `bytes`. Never throws. It may be cut over several records and packets. */
export function readClientHello(bytes: Buffer): HelloReading {
  const message = handshakeBytes(bytes);
  if (message === 'invalid') return 'invalid';
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return 'invalid';
  if (message.length < 4) return 'incomplete';
  const length = message.readUIntBE(1, 3);
  if (message.length < 4 + length) return 'incomplete';
  try {
    return parse(message.subarray(4, 4 + length));
  } catch (error) {
    // Reading past the end: a length in it is wrong.
    if (error instanceof RangeError) return 'invalid';
    throw error;
  }
}

/** The handshake bytes of the records that are there, whole or in part. */
function handshakeBytes(bytes: Buffer): Buffer | 'invalid' {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== HANDSHAKE_RECORD) return at === 0 ? 'invalid' : Buffer.concat(parts);
    if (bytes.length < at + 5) break;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > MAX_RECORD) return 'invalid';
    parts.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return Buffer.concat(parts);
}

function parse(body: Buffer): ClientHello {
  // legacy_version and random
  let at = 34;
  at += 1 + body.readUInt8(at); // legacy_session_id
  at += 2 + body.readUInt16BE(at); // cipher_suites
  at += 1 + body.readUInt8(at); // legacy_compression_methods
  let serverName: string | undefined;
  let protocols: readonly string[] = [];
  // RFC 5246 7.4.1.2: a client of TLS 1.2 may end here.
  const extensions = at < body.length ? vector(body, at) : Buffer.alloc(0);
  for (let place = 0; place < extensions.length;) {
    const type = extensions.readUInt16BE(place);
    const data = vector(extensions, place + 2);
    if (type === SERVER_NAME) serverName = nameIn(data);
    if (type === ALPN) protocols = protocolsIn(data);
    place += 4 + data.length;
  }
  return { serverName, protocols };
}

/** A vector with a length of 16 bits in front. Throws a RangeError where less is there. */
function vector(bytes: Buffer, at: number): Buffer {
  const length = bytes.readUInt16BE(at);
  if (at + 2 + length > bytes.length) throw new RangeError('vector is cut off');
  return bytes.subarray(at + 2, at + 2 + length);
}

/** RFC 6066 3: a list of which only names of type 0, host_name, were ever defined. */
function nameIn(data: Buffer): string | undefined {
  const list = vector(data, 0);
  return list.length > 0 && list.readUInt8(0) === 0
    ? vector(list, 1).toString('latin1').toLowerCase()
    : undefined;
}

function protocolsIn(data: Buffer): string[] {
  const list = vector(data, 0);
  const protocols: string[] = [];
  for (let at = 0; at < list.length; at += 1 + list.readUInt8(at)) {
    const end = at + 1 + list.readUInt8(at);
    if (end > list.length) throw new RangeError('protocol is cut off');
    protocols.push(list.toString('latin1', at + 1, end));
  }
  return protocols;
}
