import { printableExcept, Scanner } from './tokens.ts';

/** One parameter of a MIME field; RFC 2231 names (`filename*0*`) are left as they are. */
export interface Parameter {
  /** Lower case. */
  readonly name: string;
  /** Without quotes and backslashes; one latin1 character for each byte. */
  readonly value: string;
}

/** The value of a Content-Disposition field: a word and parameters. */
export interface Disposition {
  /** Lower case. */
  readonly word: string;
  /** In the order of the field, repeated ones too; at most MAX_PARAMETERS. */
  readonly parameters: readonly Parameter[];
  /** Set where the field breaks the grammar of RFC 2045 5.1, so that another reader may read it in another way. */
  readonly problem?: string;
}

export interface ContentType {
  /** Lower case, like the subtype. */
  readonly type: string;
  readonly subtype: string;
  readonly parameters: readonly Parameter[];
  /** As in Disposition. */
  readonly problem?: string;
}

/** Parameters of one field. Ten are many; RFC 2231 pieces of a long file name may make it more. */
export const MAX_PARAMETERS = 100;

// RFC 2045 5.1: a token holds no tspecials.
const token = printableExcept('()<>@,;:\\"/[]?=');
// What is read in place of a token where a writer forgot the quotes.
const unquoted = new Uint8Array(printableExcept(';("')).fill(1, 0x80);

/**
 * Reads the value of a Content-Type field. Lenient: what can be read is read and `problem` says that it was not
 * clean. Undefined where there is no `type/subtype`. Never throws.
 */
export function parseContentType(value: string): ContentType | undefined {
  const scanner = new Scanner(value);
  // RFC 822 3.1.4 lets comments stand between any two words.
  scanner.skipComments();
  const type = scanner.run(token).toLowerCase();
  scanner.skipComments();
  if (type === '' || !scanner.take('/')) return undefined;
  scanner.skipComments();
  const subtype = scanner.run(token).toLowerCase();
  if (subtype === '') return undefined;
  return { type, subtype, ...readParameters(scanner) };
}

/** Reads the value of a Content-Disposition field (RFC 2183) in the same way. Undefined where no word begins it. */
export function parseDisposition(value: string): Disposition | undefined {
  const scanner = new Scanner(value);
  scanner.skipComments();
  const word = scanner.run(token).toLowerCase();
  return word === '' ? undefined : { word, ...readParameters(scanner) };
}

/** The first parameter called `name` (lower case). */
export function parameterOf(
  field: { readonly parameters: readonly Parameter[] },
  name: string,
): string | undefined {
  return field.parameters.find((parameter) => parameter.name === name)?.value;
}

/** Reads `; name=value` as often as it stands there, to the end of the field. */
function readParameters(scanner: Scanner): Pick<ContentType, 'parameters' | 'problem'> {
  const parameters: Parameter[] = [];
  let problem: string | undefined;
  const found = (what: string) => {
    problem ??= what;
  };
  for (;;) {
    if (!scanner.skipComments()) found('comment that does not end');
    if (scanner.done) break;
    if (!scanner.take(';')) {
      found('text between parameters');
      skipTo(scanner, ';');
      continue;
    }
    if (!scanner.skipComments()) found('comment that does not end');
    // A semicolon with nothing behind it is common and means nothing.
    if (scanner.done || scanner.text[scanner.at] === ';') continue;
    if (parameters.length === MAX_PARAMETERS) {
      found('too many parameters');
      break;
    }
    const parameter = readParameter(scanner, found);
    if (parameter) parameters.push(parameter);
  }
  return problem === undefined ? { parameters } : { parameters, problem };
}

/** Reads `name=value`. Undefined, after a word to `found`, where no name stands here. */
function readParameter(scanner: Scanner, found: (problem: string) => void): Parameter | undefined {
  const name = scanner.run(token).toLowerCase();
  scanner.skipComments();
  if (name === '' || !scanner.take('=')) {
    found('parameter without a name or value');
    skipTo(scanner, ';');
    return undefined;
  }
  scanner.skipComments();
  if (scanner.text[scanner.at] === '"') {
    const start = scanner.at + 1;
    const quoted = scanner.quotedString();
    if (quoted === undefined) found('quoted string that does not end');
    return { name, value: quoted ?? scanner.text.slice(start) };
  }
  const value = scanner.run(unquoted);
  if (value === '') found('parameter without a value');
  for (let at = 0; at < value.length; at++) {
    if (token[value.charCodeAt(at)] !== 1) found('parameter value that needs quotes');
  }
  return { name, value };
}

function skipTo(scanner: Scanner, character: string): void {
  const at = scanner.text.indexOf(character, scanner.at);
  scanner.at = at < 0 ? scanner.text.length : at;
}
