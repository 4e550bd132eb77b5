import { parseContentType } from './content-type.ts';
import type { ContentType } from './content-type.ts';
import { fieldsOf, parseHeader } from './header.ts';
import type { Header } from './header.ts';
import { boundaryOf, splitMultipart } from './multipart.ts';
import type { Multipart } from './multipart.ts';
import { decodeStrictly, parseTransferEncoding } from './transfer-encoding.ts';
import type { TransferEncoding } from './transfer-encoding.ts';

/** A message, or a part of one, of which every reader sees the same type, encoding and body. */
export interface Part {
  readonly contentType: ContentType;
  readonly encoding: TransferEncoding;
  /** As it stands there, still encoded. */
  readonly body: Buffer;
}

/** RFC 2045 5.2: what a part is that does not say. */
const defaultType: ContentType = { type: 'text', subtype: 'plain', parameters: [] };

/**
 * Reads `bytes`, header and body. Strict: a malformed header, a repeated or unclear Content-Type or
 * Content-Transfer-Encoding is a problem, because two readers might take different ones.
 */
export function readPart(bytes: Buffer, header: Header = parseHeader(bytes)): Part | { problem: string } {
  if (header.malformed !== undefined) return { problem: header.malformed };
  const [type, ...moreTypes] = fieldsOf(header, 'content-type');
  const [encoding, ...moreEncodings] = fieldsOf(header, 'content-transfer-encoding');
  if (moreTypes.length > 0) return { problem: 'more than one Content-Type field' };
  if (moreEncodings.length > 0) return { problem: 'more than one Content-Transfer-Encoding field' };

  const contentType = type === undefined ? defaultType : parseContentType(type.value);
  if (contentType === undefined) return { problem: 'Content-Type that cannot be read' };
  if (contentType.problem !== undefined) return { problem: `Content-Type with ${contentType.problem}` };
  const transferEncoding = parseTransferEncoding(encoding?.value ?? '');
  if (transferEncoding === undefined) return { problem: 'unknown Content-Transfer-Encoding' };
  return { contentType, encoding: transferEncoding, body: bytes.subarray(header.size) };
}

/** Takes a multipart apart; its ranges are offsets in `part.body`. At most `maxParts` parts. */
export function readMultipart(part: Part, maxParts: number): Multipart | { problem: string } {
  // RFC 2045 6.4: nothing but 7bit, 8bit or binary on a multipart.
  if (part.encoding !== 'identity') return { problem: 'multipart that is encoded as a whole' };
  const boundary = boundaryOf(part.contentType);
  if (typeof boundary !== 'string') return boundary;
  return splitMultipart(part.body, 0, boundary, maxParts);
}

/** The decoded text of a short part, space around it trimmed; undefined if longer than `maxBytes` or not decodable. */
export function shortText(part: Part, maxBytes: number): string | undefined {
  if (part.body.length > maxBytes) return undefined;
  const text = decodeStrictly(part.body, part.encoding);
  return text?.toString('latin1').replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
}

/** Whether `part` is of this type, `type/subtype` in lower case. */
export function isType(part: Part, type: string): boolean {
  return `${part.contentType.type}/${part.contentType.subtype}` === type;
}
