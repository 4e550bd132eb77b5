/**
 * The text between the 354 reply and the lone dot, RFC 5321 4.5.2: dots unstuffed, the end found. Pure; bytes come in
 * as the network cuts them, message bytes go out through `write`.
 *
 * A line ends with CRLF and with nothing else (RFC 5321 2.3.8). So `LF . LF`, `LF . CRLF`, `CRLF . LF`, `CR . CR` and
 * the like never end the message: who takes them for an end can be made to read a second message that the first
 * server never saw ("SMTP smuggling").
 */
export interface DataDecoder {
  /** Bytes of `chunk` used when the message ends within it, -1 when more must come. Not to be called after the end. */
  push(chunk: Buffer): number;
  /** A CR without LF or an LF without CR was seen. The bytes written are then of no use. */
  readonly strayLineEnd: boolean;
  /** A NUL was seen. */
  readonly nul: boolean;
}

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;

// Where in a line the decoder is. Numbers, because this runs for every byte of every message.
/** At the first byte of a line. */
const START = 0;
/** After the dot that began the line, which is never part of the message. */
const AFTER_DOT = 1;
/** After that dot and a CR. */
const AFTER_DOT_CR = 2;
/** Within a line. */
const TEXT = 3;
/** After a CR within a line. */
const AFTER_CR = 4;

/** `write` gets slices of the chunk pushed, valid during the call only. */
export function createDataDecoder(write: (bytes: Buffer) => void): DataDecoder {
  let state = START;
  let strayLineEnd = false;
  let nul = false;

  return {
    get strayLineEnd() {
      return strayLineEnd;
    },
    get nul() {
      return nul;
    },
    push(chunk) {
      /** Where the bytes begin that are not written yet. */
      let from = 0;
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at] ?? NUL;
        // Nearly every byte: CR is the highest of those that mean anything here.
        if (state === TEXT && byte > CR) continue;
        if (state === AFTER_DOT_CR && byte === LF) {
          return at + 1;
        }
        if (state === START && byte === DOT) {
          if (at > from) write(chunk.subarray(from, at));
          from = at + 1;
          state = AFTER_DOT;
        } else if (state === AFTER_DOT && byte === CR) {
          // Perhaps the end; if not, this CR is a stray one, and it does not matter that it is not written.
          from = at + 1;
          state = AFTER_DOT_CR;
        } else if (byte === CR) {
          if (state === AFTER_CR || state === AFTER_DOT_CR) strayLineEnd = true;
          state = AFTER_CR;
        } else if (byte === LF) {
          if (state === AFTER_CR) {
            state = START;
          } else {
            strayLineEnd = true;
            state = TEXT;
          }
        } else {
          if (state === AFTER_CR || state === AFTER_DOT_CR) strayLineEnd = true;
          if (byte === NUL) nul = true;
          state = TEXT;
        }
      }
      if (from < chunk.length) write(chunk.subarray(from));
      return -1;
    },
  };
}
