import { fieldsOf } from '../../message/header.ts';
import type { Header } from '../../message/header.ts';
import { bytesOf, listOf, stringOf } from '../wire/response.ts';
import type { Piece } from '../wire/response.ts';
import { parseAddresses } from './addresses.ts';
import type { EnvelopeAddress } from './addresses.ts';

/**
 * RFC 9051 `envelope`: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id, as they are written
 * in the header, encoded words left alone. Of a field that is there twice the first counts.
 */
export function envelopeOf(header: Header): Buffer {
  const from = addressList(header, 'from');
  return Buffer.concat(
    listOf([
      headerString(header, 'date'),
      headerString(header, 'subject'),
      from,
      // RFC 9051 7.5.2: the server puts From where these are absent or empty.
      orElse(addressList(header, 'sender'), from),
      orElse(addressList(header, 'reply-to'), from),
      addressList(header, 'to'),
      addressList(header, 'cc'),
      addressList(header, 'bcc'),
      headerString(header, 'in-reply-to'),
      headerString(header, 'message-id'),
    ]).map(bytesOf),
  );
}

/** The first field's value as an nstring. */
export function headerString(header: Header, key: string): Piece {
  const [field] = fieldsOf(header, key);
  return field ? latin1String(field.value) : 'NIL';
}

/** A value whose characters are the bytes of the message. */
export function latin1String(value: string): Piece {
  return stringOf(Buffer.from(value, 'latin1'));
}

function orElse(list: Piece, other: Piece): Piece {
  return list === 'NIL' ? other : list;
}

function addressList(header: Header, key: string): Piece {
  const [field] = fieldsOf(header, key);
  const addresses = field ? parseAddresses(field.value) : [];
  if (addresses.length === 0) return 'NIL';
  // RFC 9051 `"(" 1*address ")"`: nothing between them.
  return Buffer.concat(['(', ...addresses.flatMap(address), ')'].map(bytesOf));
}

function address({ name, route, mailbox, host }: EnvelopeAddress): Piece[] {
  return listOf(
    [name, route, mailbox, host].map((text) => (text === undefined ? 'NIL' : latin1String(text))),
  );
}
