/**
 * The text of DATA for a message (RFC 5321 4.5.2): each line that begins with a dot gets another one before it, and the
 * last line ends in CRLF. The dot that ends it is not in it. Pieces of the message are not copied.
 */
export function stuffDots(message: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  if (message[0] === DOT) chunks.push(ONE_DOT);
  for (let at = message.indexOf(LINE_WITH_DOT); at >= 0; at = message.indexOf(LINE_WITH_DOT, from)) {
    chunks.push(message.subarray(from, at + LINE_WITH_DOT.length), ONE_DOT);
    from = at + LINE_WITH_DOT.length;
  }
  chunks.push(message.subarray(from));
  if (message.length > 0 && !message.subarray(-2).equals(CRLF)) chunks.push(CRLF);
  return chunks;
}

const DOT = 0x2e;
const ONE_DOT = Buffer.from('.');
const CRLF = Buffer.from('\r\n');
const LINE_WITH_DOT = Buffer.from('\r\n.');
