/** SMTP's replies (RFC 5321 4.2): bytes in, replies out, no IO. */

export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** RFC 2034: `5.1.1`, where the text begins with one of the code's own class. */
  readonly status: string | undefined;
  /** The text behind code and status, lines joined by a space; control and 8-bit characters as `?`. */
  readonly text: string;
  /** The lines behind the code, as EHLO's answer needs them; the same bound for all of them together. */
  readonly lines: readonly string[];
}

/** Bytes of one reply. RFC 5321 4.5.3.1.5 has 512 for a line; who says more than this does not end. */
export const MAX_REPLY = 16 * 1024;

/** The other side does not speak SMTP. */
export class BadReply extends Error {
  override name = 'BadReply';
}

export interface ReplyReader {
  /** Takes bytes, gives the replies that are whole by them. Throws BadReply; it takes nothing after that. */
  push(chunk: Buffer): Reply[];
  /** Whether bytes of a reply that is not whole are here: after STARTTLS' answer nothing may be (RFC 3207 6). */
  readonly pending: boolean;
}

export function createReplyReader(): ReplyReader {
  let waiting = '';
  let lines: string[] = [];
  let size = 0;
  return {
    push(chunk) {
      const replies: Reply[] = [];
      waiting += chunk.toString('latin1');
      for (let end = waiting.indexOf('\n'); end >= 0; end = waiting.indexOf('\n')) {
        const line = waiting.slice(0, end).replace(/\r$/, '');
        waiting = waiting.slice(end + 1);
        size += line.length;
        lines.push(line);
        if (size > MAX_REPLY || lines.length > MAX_LINES) throw new BadReply('a reply that does not end');
        if (!isLast(line)) continue;
        replies.push(replyOf(lines));
        lines = [];
        size = 0;
      }
      if (size + waiting.length > MAX_REPLY) throw new BadReply('a reply that does not end');
      return replies;
    },
    get pending() {
      return waiting !== '' || lines.length > 0;
    },
  };
}

const MAX_LINES = 128;

/** `250-more` or `250 last`; a bare `250` is a last line, too (RFC 5321 4.2, for old servers). */
function isLast(line: string): boolean {
  const form = /^[2-5]\d\d(?:([ -])|$)/.exec(line);
  if (!form) throw new BadReply('no reply of SMTP');
  return form[1] !== '-';
}

function replyOf(raw: readonly string[]): Reply {
  const codes = new Set(raw.map((line) => line.slice(0, 3)));
  const [code = ''] = codes;
  // RFC 5321 4.2.1: the same on every line.
  if (codes.size > 1) throw new BadReply('a reply with two codes');
  const lines = raw.map((line) => line.slice(4).replace(/[^\x20-\x7e]/g, '?'));
  const status = new RegExp(`^(${code[0]}\\.\\d{1,3}\\.\\d{1,3})(?: |$)`);
  const found = status.exec(lines[0] ?? '')?.[1];
  const text = lines.map((line) => line.replace(status, '').trim()).join(' ');
  return { code: Number(code), status: found, text: text.trim(), lines };
}

/** The reply as one line, for people and for a DSN. */
export function replyText({ code, status, text }: Reply): string {
  return [code, status, text].filter((part) => part !== undefined && part !== '').join(' ');
}

/** Reads a whole reply from a text, as `/mxdeliv` answers; undefined where it is none. */
export function parseReply(text: string): Reply | undefined {
  try {
    const [reply, ...more] = createReplyReader().push(Buffer.from(`${text.trimEnd()}\r\n`, 'latin1'));
    return more.length > 0 ? undefined : reply;
  } catch {
    return undefined;
  }
}
