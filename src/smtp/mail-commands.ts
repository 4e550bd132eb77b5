import { parseMailbox } from '../message/address.ts';

/** The arguments of MAIL FROM or RCPT TO. Addresses are kept as they were given. */
export interface MailCommand {
  readonly sender: string;
  /** SIZE= of RFC 1870, in bytes. */
  readonly size: number | undefined;
}

export type CommandProblem =
  | { readonly problem: 'address' }
  | { readonly problem: 'parameter'; readonly parameter: string }
  | { readonly problem: 'value'; readonly parameter: string };

/**
 * `<path>` with what follows it. A local part may be a quoted string that holds `>` and blanks (RFC 5321 4.1.2). The
 * source route before the address is accepted and ignored (RFC 5321 appendix C). A blank after the colon is no
 * standard, but old senders write it.
 */
const PATH = /^ *<(?:@[^:<>\s]+:)?((?:"(?:[^"\\]|\\.)*"|[^<>"\s])*)>(.*)$/;
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?$/;

/** A whole `MAIL FROM:<…> …` line, without its CRLF. Parameters: SIZE, BODY (RFC 6152), AUTH (RFC 4954 5, unheeded). */
export function parseMailCommand(line: string): MailCommand | CommandProblem {
  const path = splitPath(/^MAIL FROM:/i, line);
  if (path === undefined) return { problem: 'address' };
  if (path.address !== '' && parseMailbox(path.address) === undefined) return { problem: 'address' };

  let size: number | undefined;
  const seen = new Set<string>();
  for (const { name, key, value } of path.parameters) {
    const right =
      !seen.has(key) &&
      (key === 'SIZE'
        ? /^\d{1,20}$/.test(value)
        : key === 'BODY'
          ? /^(7BIT|8BITMIME)$/i.test(value)
          : key === 'AUTH'
            ? value !== ''
            : undefined);
    if (right === undefined) return { problem: 'parameter', parameter: name };
    if (!right) return { problem: 'value', parameter: name };
    seen.add(key);
    if (key === 'SIZE') size = Number(value);
  }
  return { sender: path.address, size };
}

/**
 * A whole `RCPT TO:<…>` line, without its CRLF. `<Postmaster>` without a domain is that of `domain` (RFC 5321
 * 4.1.1.3). No parameter is known: DSN is not offered.
 */
export function parseRcptCommand(
  line: string,
  domain: string,
): { readonly recipient: string } | CommandProblem {
  const path = splitPath(/^RCPT TO:/i, line);
  if (path === undefined) return { problem: 'address' };
  const recipient = /^postmaster$/i.test(path.address) ? `postmaster@${domain}` : path.address;
  if (parseMailbox(recipient) === undefined) return { problem: 'address' };
  const parameter = path.parameters[0];
  if (parameter !== undefined) return { problem: 'parameter', parameter: parameter.name };
  return { recipient };
}

interface Path {
  readonly address: string;
  /** `name` as written, `key` in capitals, `value` '' where there is none. */
  readonly parameters: readonly { readonly name: string; readonly key: string; readonly value: string }[];
}

function splitPath(command: RegExp, line: string): Path | undefined {
  const verb = command.exec(line)?.[0];
  if (verb === undefined) return undefined;
  const [, address, rest] = PATH.exec(line.slice(verb.length)) ?? [];
  if (address === undefined || rest === undefined) return undefined;
  if (rest !== '' && !rest.startsWith(' ')) return undefined;
  const parameters = [];
  for (const word of rest.split(' ').filter((part) => part !== '')) {
    const [, name, value = ''] = PARAMETER.exec(word) ?? [];
    if (name === undefined) return undefined;
    parameters.push({ name, key: name.toUpperCase(), value });
  }
  return { address, parameters };
}
