import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';

export interface SmtpReply {
  readonly code: number;
  /** Every line without its CRLF, code included: `250-SIZE 100`. */
  readonly lines: readonly string[];
  /** The lines joined by LF, for matching. */
  readonly text: string;
}

/** Reads and writes SMTP by the byte: tests decide what is sent and when. A reply that does not come in time is an error. */
export interface SmtpClient extends AsyncDisposable {
  /** The connection as it is now: TLS after startTls. */
  readonly socket: Socket;
  /** Resolves when the connection is closed, however it came about. */
  readonly closed: Promise<void>;
  /** Writes these bytes and no others (strings as latin1). */
  send(bytes: string | Buffer): void;
  /** The next reply. Rejects when the connection closes first. */
  reply(): Promise<SmtpReply>;
  /** Sends the line with CRLF and reads one reply. */
  command(line: string): Promise<SmtpReply>;
  /** STARTTLS and the handshake. */
  startTls(options?: ConnectionOptions): Promise<void>;
  /** The handshake alone, for a test that sends STARTTLS itself. */
  handshake(options?: ConnectionOptions): Promise<void>;
  /** AUTH PLAIN with an initial response. */
  login(address: string, password: string): Promise<SmtpReply>;
  /** MAIL, RCPT for each, DATA and the message (dot-stuffed here); the first reply that is no success, or the last. */
  deliver(sender: string, recipients: readonly string[], message: string | Buffer): Promise<SmtpReply>;
}

export interface SmtpClientOptions {
  readonly port: number;
  /** TLS from the first byte. */
  readonly tls?: boolean;
  readonly tlsOptions?: ConnectionOptions;
  /** Local address to connect from (any of 127.0.0.0/8 counts as a peer of its own). */
  readonly from?: string;
  /** EHLO is sent after the greeting unless this is false. */
  readonly ehlo?: boolean;
}

/** How long a reply may take: far more than a loaded machine needs. */
const REPLY_TIMEOUT_MS = 20_000;

/** Connects, reads the greeting (it must be 220) and says EHLO. */
export async function connectSmtp(options: SmtpClientOptions): Promise<SmtpClient> {
  const client = await openSmtp(options);
  expect(await client.reply(), 220);
  if (options.ehlo !== false) expect(await client.command('EHLO client.test'), 250);
  return client;
}

/** Connects and reads nothing. */
export async function openSmtp({ port, tls, tlsOptions, from }: SmtpClientOptions): Promise<SmtpClient> {
  const where = { host: '127.0.0.1', port, ...(from === undefined ? {} : { localAddress: from }) };
  let socket: Socket = tls ? connectTls({ ...lax, ...tlsOptions, ...where }) : connectTcp(where);
  const replies = new ReplyReader();
  replies.follow(socket);
  socket.setNoDelay(true);
  await once(socket, tls ? 'secureConnect' : 'connect');

  const client: SmtpClient = {
    get socket() {
      return socket;
    },
    get closed() {
      return replies.closed;
    },
    send(bytes) {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    },
    reply: () => replies.next(),
    command(line) {
      client.send(`${line}\r\n`);
      return client.reply();
    },
    async startTls(more = {}) {
      expect(await client.command('STARTTLS'), 220);
      await client.handshake(more);
    },
    async handshake(more = {}) {
      socket = await upgrade(socket, replies, more);
    },
    login: (address, password) =>
      client.command(`AUTH PLAIN ${Buffer.from(`\0${address}\0${password}`).toString('base64')}`),
    async deliver(sender, recipients, message) {
      const lines = [`MAIL FROM:<${sender}>`, ...recipients.map((recipient) => `RCPT TO:<${recipient}>`)];
      for (const line of lines) {
        const reply = await client.command(line);
        if (reply.code !== 250) return reply;
      }
      const go = await client.command('DATA');
      if (go.code !== 354) return go;
      client.send(dotStuff(message));
      return client.reply();
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await replies.closed;
    },
  };
  return client;
}

/** The message as it goes over the wire after 354: dots doubled, CRLF and the lone dot at its end. */
export function dotStuff(message: string | Buffer): Buffer {
  const text = typeof message === 'string' ? message : message.toString('latin1');
  const stuffed = text.replace(/^\./, '..').replaceAll('\r\n.', '\r\n..');
  return Buffer.from(`${stuffed}${stuffed === '' || stuffed.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1');
}

/** Our relays in tests are self-signed. */
const lax: ConnectionOptions = { rejectUnauthorized: false };

/** TLS over a connection on which STARTTLS was agreed. */
export async function upgrade(
  socket: Socket,
  replies: { follow(socket: Socket): void },
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  socket.removeAllListeners('data');
  const secure = connectTls({ ...lax, ...options, socket });
  replies.follow(secure);
  await once(secure, 'secureConnect');
  return secure;
}

function expect(reply: SmtpReply, code: number): void {
  if (reply.code !== code) throw new Error(`expected ${code}, got: ${reply.text}`);
}

/** Cuts what arrives into replies and hands each to whoever asked first. */
class ReplyReader {
  #text = '';
  #lines: string[] = [];
  readonly #ready: SmtpReply[] = [];
  readonly #asking: { resolve: (reply: SmtpReply) => void; reject: (error: Error) => void }[] = [];
  #open = 0;
  #error: Error | undefined;
  readonly #close = Promise.withResolvers<void>();

  get closed(): Promise<void> {
    return this.#close.promise;
  }

  follow(socket: Socket): void {
    this.#open += 1;
    socket.on('data', (bytes: Buffer) => this.#read(bytes.toString('latin1')));
    socket.on('error', (error) => (this.#error = error));
    socket.on('close', () => {
      this.#open -= 1;
      if (this.#open > 0) return;
      this.#close.resolve();
      for (const { reject } of this.#asking.splice(0)) reject(this.#gone());
    });
  }

  async next(): Promise<SmtpReply> {
    const ready = this.#ready.shift();
    if (ready !== undefined) return ready;
    if (this.#open === 0) throw this.#gone();
    const { promise, resolve, reject } = Promise.withResolvers<SmtpReply>();
    const timer = setTimeout(
      () => reject(new Error(`no reply within ${REPLY_TIMEOUT_MS} ms`)),
      REPLY_TIMEOUT_MS,
    );
    this.#asking.push({ resolve, reject });
    return promise.finally(() => clearTimeout(timer));
  }

  #gone(): Error {
    return new Error(`connection closed${this.#error === undefined ? '' : ` (${this.#error.message})`}`);
  }

  #read(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\r\n'); end >= 0; end = this.#text.indexOf('\r\n')) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#lines.push(line);
      if (line[3] === '-') continue;
      const reply = { code: Number(line.slice(0, 3)), lines: this.#lines, text: this.#lines.join('\n') };
      this.#lines = [];
      const asking = this.#asking.shift();
      if (asking === undefined) this.#ready.push(reply);
      else asking.resolve(reply);
    }
  }
}
