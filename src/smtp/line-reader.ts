import { setImmediate } from 'node:timers/promises';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';

/** What the reader hands on, one thing at a time: it goes on reading when the promise or callback is done. */
export interface LineReaderHandlers {
  /** Bytes came in, whatever they are. */
  input(): void;
  /** A command line without its CRLF. */
  command(line: Buffer, next: () => void): void;
  /** A line that is no command: it is not carried out, whatever it says. */
  badLine(reason: string): void;
}

/** What follows a 354 reply. */
export interface MessageInput {
  /** Bytes of `chunk` used when the message ends within it, -1 when more must come. */
  push(chunk: Buffer): number;
  /** The end was reached; resolves when the reply is written. */
  complete(): Promise<void>;
}

/**
 * Octets of a command line without its CRLF: RFC 5321 4.5.3.1.4 has 512, its extensions add to that (RFC 1870, RFC
 * 4954, RFC 6152), and the longest AUTH PLAIN that we can use is below 1000.
 */
export const MAX_COMMAND_LINE = 2048;

/** Pipelined commands carried out before other connections get their turn. */
const COMMANDS_PER_TURN = 100;

const LF = 0x0a;
const CR = 0x0d;

/**
 * Takes the place of smtp-server's own parser, which ends a command at a bare LF, closes the connection on a long
 * line, carries out half a line when the connection ends, does not unstuff `CRLF . x`, and hands a message out through
 * a stream without a bound of its own. Its connection needs a parser of this class: we take over what reads
 * (`_write`, `_flushData`) and keep what it asks of it (`isClosed`).
 */
export class LineReader extends SMTPStream {
  readonly #handlers: LineReaderHandlers;
  /** The beginning of a line whose end has not come, at most MAX_COMMAND_LINE and its CR. */
  #partial = Buffer.alloc(0);
  /** The line under way is too long; the rest of it is dropped. */
  #overlong = false;
  #message: MessageInput | undefined;

  constructor(handlers: LineReaderHandlers) {
    super();
    this.#handlers = handlers;
  }

  /** From the next byte on everything belongs to `message`, until it says where it ends. */
  readMessage(message: MessageInput): void {
    this.#message = message;
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding | 'buffer',
    next: (error?: Error | null) => void,
  ): void {
    this.#read(chunk).then(
      () => next(),
      (error: unknown) => next(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** A connection that ends within a line has not given a command. */
  override _flushData(): void {}

  async #read(chunk: Buffer): Promise<void> {
    this.#handlers.input();
    let rest = chunk;
    // Closed: the connection is over, or STARTTLS was given. What was sent along in the clear is never carried out.
    for (let commands = 1; rest.length > 0 && !this.isClosed; commands += 1) {
      rest = this.#message === undefined ? await this.#readLine(rest) : await this.#feed(this.#message, rest);
      if (commands % COMMANDS_PER_TURN === 0) await setImmediate();
    }
  }

  async #feed(message: MessageInput, bytes: Buffer): Promise<Buffer> {
    const used = message.push(bytes);
    if (used < 0) return bytes.subarray(bytes.length);
    this.#message = undefined;
    await message.complete();
    return bytes.subarray(used);
  }

  /** Reads up to the first LF; answers with what follows it. */
  async #readLine(bytes: Buffer): Promise<Buffer> {
    const end = bytes.indexOf(LF);
    const piece = end < 0 ? bytes : bytes.subarray(0, end);
    if (this.#partial.length + piece.length > MAX_COMMAND_LINE + 1) {
      this.#overlong = true;
      this.#partial = Buffer.alloc(0);
    } else if (!this.#overlong) {
      this.#partial = Buffer.concat([this.#partial, piece]);
    }
    if (end < 0) return bytes.subarray(bytes.length);

    const line = this.#partial;
    const overlong = this.#overlong;
    this.#partial = Buffer.alloc(0);
    this.#overlong = false;
    if (overlong) {
      this.#handlers.badLine('line too long');
    } else if (line.indexOf(CR) !== line.length - 1 || line.length === 0) {
      // A bare LF or CR. To take one for the end of a line is what SMTP smuggling lives on.
      this.#handlers.badLine('a line ends in CRLF');
    } else {
      await new Promise<void>((resolve) => this.#handlers.command(line.subarray(0, -1), resolve));
    }
    return bytes.subarray(end + 1);
  }
}
