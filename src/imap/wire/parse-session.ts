import type { Command } from './command.ts';
import { Problem, utf8 } from './reader.ts';
import type { Reader } from './reader.ts';

/** RFC 2971 3.3: at most 30 pairs. */
const MAX_ID_FIELDS = 30;
/** RFC 5161: nobody knows more extensions than that. */
const MAX_ENABLE = 30;

/** RFC 2971 `id = "ID" SP id-params-list`, a list of string and nstring by turns, or NIL. */
export function parseId(reader: Reader): Command {
  reader.space();
  if (reader.takenWord('NIL')) return { name: 'ID', fields: undefined };
  const pairs = reader.list((): [string, string | undefined] => {
    const field = utf8(reader.string('a field name')).toLowerCase();
    reader.space();
    const value = reader.nstring('a value');
    return [field, value && utf8(value)];
  }, MAX_ID_FIELDS);
  return { name: 'ID', fields: new Map(pairs) };
}

/** RFC 5161 `enable = "ENABLE" 1*(SP capability)`. */
export function parseEnable(reader: Reader): Command {
  reader.space();
  const capabilities: string[] = [];
  do {
    if (capabilities.length === MAX_ENABLE) throw new Problem('Too many capabilities');
    capabilities.push(reader.word('a capability'));
  } while (!reader.atEnd());
  return { name: 'ENABLE', capabilities };
}

/** RFC 4978 `compress = "COMPRESS" SP algorithm`. */
export function parseCompress(reader: Reader): Command {
  reader.space();
  return { name: 'COMPRESS', mechanism: reader.word('a mechanism') };
}

/** RFC 9051 `login = "LOGIN" SP userid SP password`, both astring. */
export function parseLogin(reader: Reader): Command {
  reader.space();
  const username = reader.text('a user name');
  reader.space();
  return { name: 'LOGIN', username, password: reader.text('a password') };
}

const BASE64 = /=|[A-Za-z0-9+/]+={0,2}/y;

/** RFC 9051 `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`, `initial-resp = (base64 / "=")` (RFC 4959). */
export function parseAuthenticate(reader: Reader): Command {
  reader.space();
  const mechanism = reader.word('a mechanism');
  if (reader.atEnd()) return { name: 'AUTHENTICATE', mechanism };
  const initial = reader.match(BASE64)?.[0];
  if (initial === undefined) throw new Problem('Initial response is not base64');
  return { name: 'AUTHENTICATE', mechanism, initial: initial === '=' ? '' : initial };
}
