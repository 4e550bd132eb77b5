import { parseDisposition } from '../../message/content-type.ts';
import type { Parameter } from '../../message/content-type.ts';
import { fieldsOf } from '../../message/header.ts';
import { bytesOf, listOf } from '../wire/response.ts';
import type { Piece } from '../wire/response.ts';
import { envelopeOf, headerString, latin1String } from './envelope.ts';
import { createLineIndex } from './line-index.ts';
import type { LineIndex } from './line-index.ts';
import type { Part } from './parts.ts';

/**
 * RFC 9051 `body`: with `extended` for BODYSTRUCTURE, without for BODY. `message` holds the bytes that `root` was found
 * in. Linear; recursion is bounded by MAX_DEPTH of parts.ts.
 */
export function bodyStructureOf(message: Buffer, root: Part, extended: boolean): Buffer {
  return Buffer.concat(body(root, createLineIndex(message), extended).map(bytesOf));
}

function body(part: Part, lines: LineIndex, extended: boolean): Piece[] {
  return part.children.length > 0 ? multipart(part, lines, extended) : single(part, lines, extended);
}

/** `body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]`; nothing stands between the bodies. */
function multipart(part: Part, lines: LineIndex, extended: boolean): Piece[] {
  const rest: Piece[] = [latin1String(part.contentType.subtype)];
  if (extended) rest.push(parameters(part.contentType.parameters), ...extension(part));
  return [
    '(',
    ...part.children.flatMap((child) => body(child, lines, extended)),
    ...rest.flatMap((item): Piece[] => [' ', item]),
    ')',
  ];
}

/** `body-type-1part`: basic, text with its lines, or message with envelope, body and lines. */
function single(part: Part, lines: LineIndex, extended: boolean): Piece[] {
  const { contentType, header, message } = part;
  const items: Piece[][] = [
    [latin1String(contentType.type)],
    [latin1String(contentType.subtype)],
    [parameters(contentType.parameters)],
    [headerString(header, 'content-id')],
    [headerString(header, 'content-description')],
    [encoding(part)],
    [String(part.end - part.body)],
  ];
  const lineCount = () => String(lines.between(part.body, part.end));
  if (message) items.push([envelopeOf(message.header)], body(message, lines, extended), [lineCount()]);
  else if (contentType.type === 'text') items.push([lineCount()]);
  if (extended) items.push([headerString(header, 'content-md5')], ...extension(part).map((item) => [item]));
  return ['(', ...items.flatMap((item, at) => (at === 0 ? item : [' ', ...item])), ')'];
}

/** The end of `body-ext-1part` and of `body-ext-mpart`: disposition, language, location. */
function extension(part: Part): Piece[] {
  return [disposition(part), language(part), headerString(part.header, 'content-location')];
}

/** `body-fld-enc`: 7BIT where nothing is said (RFC 2045 6.1). */
function encoding(part: Part): Piece {
  const [field] = fieldsOf(part.header, 'content-transfer-encoding');
  // The word alone: a comment may stand behind it.
  const word = /^[^\s();]+/.exec(field?.value ?? '')?.[0];
  return latin1String(word ?? '7bit');
}

function parameters(list: readonly Parameter[]): Piece {
  if (list.length === 0) return 'NIL';
  return joined(listOf(list.flatMap(({ name, value }) => [latin1String(name), latin1String(value)])));
}

function disposition(part: Part): Piece {
  const [field] = fieldsOf(part.header, 'content-disposition');
  const found = field && parseDisposition(field.value);
  return found ? joined(listOf([latin1String(found.word), parameters(found.parameters)])) : 'NIL';
}

/** RFC 3282: a list of tags. */
function language(part: Part): Piece {
  const [field] = fieldsOf(part.header, 'content-language');
  const tags = (field?.value ?? '').split(',', MAX_LANGUAGES).map((tag) => tag.trim());
  const named = tags.filter((tag) => tag !== '').map(latin1String);
  return named.length > 0 ? joined(listOf(named)) : 'NIL';
}

const MAX_LANGUAGES = 20;

function joined(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.map(bytesOf));
}
