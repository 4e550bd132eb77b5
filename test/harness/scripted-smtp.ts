import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { TLSSocketOptions } from 'node:tls';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { drop, inTurn, say } from './scripted-act.ts';
import type { Act } from './scripted-act.ts';

/** What the server does at each step; a step left out goes well. */
export interface SmtpScript {
  readonly greeting?: Act;
  /** Before TLS. */
  readonly ehlo?: Act;
  readonly starttls?: Act;
  /** Instead of the handshake. */
  readonly handshake?: Act;
  readonly secureEhlo?: Act;
  readonly mail?: Act;
  /** By the address and its place within the transaction, from 0. An act that says no 25z refuses it. */
  readonly rcpt?: (address: string, place: number) => Act | undefined;
  readonly data?: Act;
  /** At the dot; the message counts as taken all the same, see `Taken.answer`. */
  readonly dot?: Act;
  readonly rset?: Act;
  readonly quit?: Act;
  /** What EHLO offers behind TLS. */
  readonly offers?: readonly string[];
}

export interface Transaction {
  readonly sender: string;
  /** Those that were not refused. */
  readonly recipients: readonly string[];
  /** As it came, still dot-stuffed, without the dot. */
  readonly text: string;
}

export interface SmtpPeerConnection {
  /** Lines as they came, without CRLF; not the text of DATA. */
  readonly commands: readonly string[];
  /** Texts that came to their dot, whatever was said to it. */
  readonly transactions: readonly Transaction[];
  readonly secure: boolean;
  readonly closed: boolean;
}

/** A mail server that does what a test tells it, and records what it got. */
export interface ScriptedSmtp extends AsyncDisposable {
  readonly port: number;
  /** Counts from the next step on, on every connection. */
  script: SmtpScript;
  /** What it shows from the next handshake on. */
  certificate: KeyPair;
  readonly connections: readonly SmtpPeerConnection[];
  /** Of all connections. */
  readonly transactions: readonly Transaction[];
  /** Connections that stand now. */
  readonly open: number;
}

const OFFERS = ['PIPELINING', 'SIZE 10485760', '8BITMIME', 'ENHANCEDSTATUSCODES'];

export async function createScriptedSmtp(
  certificate: KeyPair,
  script: SmtpScript = {},
  tls: TLSSocketOptions & { readonly ciphers?: string } = {},
): Promise<ScriptedSmtp> {
  const connections: Connection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const connection = new Connection(socket, peer, tls);
    connections.push(connection);
    void connection.run();
  });
  const peer: ScriptedSmtp = {
    script,
    certificate,
    connections,
    get port() {
      return (server.address() as AddressInfo).port;
    },
    get transactions() {
      return connections.flatMap(({ transactions }) => transactions);
    },
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return peer;
}

class Connection implements SmtpPeerConnection {
  readonly commands: string[] = [];
  readonly transactions: Transaction[] = [];
  secure = false;
  closed = false;
  #socket: Socket;
  readonly #bottom: Socket;
  readonly #peer: ScriptedSmtp;
  readonly #tls: TLSSocketOptions;
  readonly #waiting = new Waiting();
  #wake = () => {};
  #sender = '';
  #recipients: string[] = [];
  /** Of RCPT commands in this transaction. */
  #place = 0;

  constructor(socket: Socket, peer: ScriptedSmtp, tls: TLSSocketOptions) {
    this.#socket = socket;
    this.#bottom = socket;
    this.#peer = peer;
    this.#tls = tls;
    socket.setNoDelay(true);
    this.#follow(socket);
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  async run(): Promise<void> {
    await this.#act(this.#peer.script.greeting ?? say('220 scripted.test ESMTP'));
    for (;;) {
      const line = await this.#upTo('\r\n');
      if (line === undefined) return;
      this.commands.push(line);
      await this.#command(line);
    }
  }

  #follow(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#waiting.push(chunk);
      this.#wake();
    });
    socket.on('error', () => socket.destroy());
  }

  /** What comes before `end`, which is taken as well; undefined when the connection is gone. */
  async #upTo(end: string): Promise<string | undefined> {
    for (;;) {
      const found = this.#waiting.take(end);
      if (found !== undefined) return found;
      if (this.closed) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Whether something good was said. */
  async #act(act: Act): Promise<boolean> {
    let said = '';
    const socket = new Proxy(this.#socket, {
      get: (target, key) => {
        if (key === 'write')
          return (bytes: string | Buffer) => {
            said += bytes.toString('latin1').slice(0, 3);
            return target.write(bytes);
          };
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    await act(socket, this.#bottom);
    return /^[23]/.test(said);
  }

  async #command(line: string): Promise<void> {
    const { script } = this.#peer;
    const verb = /^[A-Za-z]+/.exec(line)?.[0].toUpperCase() ?? '';
    const address = /<(.*)>/.exec(line)?.[1] ?? '';
    if (verb === 'EHLO') {
      const act = this.secure ? script.secureEhlo : script.ehlo;
      const offers = this.secure ? (script.offers ?? OFFERS) : ['STARTTLS', 'PIPELINING'];
      const lines = ['scripted.test', ...offers];
      await this.#act(act ?? say(...lines.map((one, n) => `250${n < lines.length - 1 ? '-' : ' '}${one}`)));
    } else if (verb === 'STARTTLS') {
      if (await this.#act(script.starttls ?? say('220 go ahead'))) await this.#handshake();
    } else if (verb === 'MAIL') {
      this.#forget();
      this.#sender = address;
      await this.#act(script.mail ?? say('250 2.1.0 ok'));
    } else if (verb === 'RCPT') {
      const act = script.rcpt?.(address, this.#place++) ?? say('250 2.1.5 ok');
      if (await this.#act(act)) this.#recipients.push(address);
    } else if (verb === 'DATA') {
      const usual = this.#recipients.length > 0 ? say('354 go on') : say('554 5.5.1 no valid recipients');
      if (await this.#act(script.data ?? usual)) await this.#text();
    } else if (verb === 'RSET') {
      this.#forget();
      await this.#act(script.rset ?? say('250 2.0.0 ok'));
    } else if (verb === 'QUIT') {
      await this.#act(script.quit ?? inTurn(say('221 2.0.0 bye'), drop));
    } else {
      await this.#act(say('500 5.5.1 what?'));
    }
  }

  async #text(): Promise<void> {
    // RFC 5321 4.1.1.4: the CRLF of the DATA command begins the end of a text without lines.
    this.#waiting.unshift('\r\n');
    const text = await this.#upTo('\r\n.\r\n');
    if (text === undefined) return;
    this.transactions.push({
      sender: this.#sender,
      recipients: this.#recipients,
      text: text === '' ? '' : `${text.slice(2)}\r\n`,
    });
    this.#forget();
    await this.#act(this.#peer.script.dot ?? say('250 2.0.0 taken'));
  }

  #forget(): void {
    this.#recipients = [];
    this.#place = 0;
  }

  async #handshake(): Promise<void> {
    const { script, certificate } = this.#peer;
    if (script.handshake) {
      await this.#act(script.handshake);
      return;
    }
    const raw = this.#socket;
    raw.removeAllListeners('data');
    const secure = new TLSSocket(raw, {
      isServer: true,
      secureContext: createSecureContext({ ...certificate, ...this.#tls }),
      ...this.#tls,
    });
    this.#socket = secure;
    this.#follow(secure);
    // The client may refuse it.
    const stands = await Promise.race([
      new Promise<boolean>((resolve) => secure.once('secure', () => resolve(true))),
      new Promise<boolean>((resolve) => raw.once('close', () => resolve(false))),
    ]);
    this.secure = stands;
  }
}

/** What has come and is not looked at yet; grows by doubling, so that megabytes take no time. */
class Waiting {
  #bytes = Buffer.alloc(4096);
  #length = 0;
  #searched = 0;

  push(chunk: Buffer): void {
    if (this.#length + chunk.length > this.#bytes.length) {
      const larger = Buffer.alloc(2 * (this.#length + chunk.length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#length += chunk.copy(this.#bytes, this.#length);
  }

  take(end: string): string | undefined {
    const at = this.#bytes.subarray(0, this.#length).indexOf(end, Math.max(0, this.#searched - end.length));
    if (at < 0) {
      this.#searched = this.#length;
      return undefined;
    }
    const found = this.#bytes.toString('latin1', 0, at);
    this.#bytes.copy(this.#bytes, 0, at + end.length, this.#length);
    this.#length -= at + end.length;
    this.#searched = 0;
    return found;
  }

  unshift(text: string): void {
    const behind = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    this.push(Buffer.from(text, 'latin1'));
    this.push(behind);
  }
}
