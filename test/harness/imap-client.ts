import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { SecureVersion } from 'node:tls';
import { createDeflateRaw, createInflateRaw, constants } from 'node:zlib';

/** One response of the server: its line without CRLF, as latin1; literals stand in it as they came. */
export interface ImapResponse {
  readonly text: string;
  readonly literals: readonly Buffer[];
}

/** The answer to a command. */
export interface ImapAnswer {
  readonly status: string;
  /** Behind the status. */
  readonly text: string;
  /** `text`s of the untagged responses before it. */
  readonly untagged: readonly string[];
  readonly responses: readonly ImapResponse[];
}

/** A raw IMAP client: it knows lines and literals, and nothing of what they mean. */
export interface ImapClient extends AsyncDisposable {
  /** The greeting's line. */
  readonly greeting: string;
  /**
   * Sends a command with a fresh tag. Further arguments are literals, each followed by its rest of the line: sent
   * synchronizing (`{n}`), or all at once with `{n+}` if the text before ends in `+`.
   */
  command(text: string, ...more: readonly (string | Buffer)[]): Promise<ImapAnswer>;
  /** Raw bytes. */
  write(bytes: string | Buffer): void;
  /** The next response, whatever it is; rejects when the connection ends. */
  next(): Promise<ImapResponse>;
  /** Reads responses up to the one that begins with `tag `. */
  until(tag: string): Promise<ImapAnswer>;
  /** Everything that comes until the server closes. */
  rest(): Promise<readonly ImapResponse[]>;
  startTls(): Promise<void>;
  compress(): Promise<void>;
  readonly socket: Socket;
  readonly closed: Promise<void>;
}

export interface ImapClientOptions {
  readonly port: number;
  /** TLS from the start. */
  readonly tls?: boolean;
  readonly alpn?: readonly string[];
  readonly maxVersion?: SecureVersion;
}

/** Connects to 127.0.0.1 and reads the greeting. Certificates are not checked. */
export async function connectImap({
  port,
  tls = false,
  alpn,
  maxVersion,
}: ImapClientOptions): Promise<ImapClient> {
  let socket: Socket = tls
    ? connectTls({
        port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(alpn && { ALPNProtocols: [...alpn] }),
        ...(maxVersion && { maxVersion }),
      })
    : connectTcp(port, '127.0.0.1');
  socket.setNoDelay(true);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let failure: Error | undefined;
  let ended = false;
  let buffered: Buffer = Buffer.alloc(0);
  /** Behind `buffered`; put together only where somebody looks. */
  let arrived: Buffer[] = [];
  let size = 0;
  const gather = () => {
    if (arrived.length > 0) buffered = Buffer.concat([buffered, ...arrived]);
    arrived = [];
  };
  const cut = (length: number, skip = 0) => {
    const bytes = buffered.subarray(0, length);
    buffered = buffered.subarray(length + skip);
    size -= length + skip;
    return bytes;
  };
  let wake = () => {};
  let source: Duplex = socket;
  let sink: Duplex = socket;

  const listen = (stream: Duplex) => {
    stream.on('data', (chunk: Buffer) => {
      arrived.push(chunk);
      size += chunk.length;
      wake();
    });
    stream.on('error', (error: Error) => {
      failure = error;
    });
    for (const event of ['end', 'close']) {
      stream.on(event, () => {
        ended = true;
        wake();
      });
    }
  };
  listen(socket);

  const take = async (attempt: () => Buffer | undefined): Promise<Buffer> => {
    for (;;) {
      const bytes = attempt();
      if (bytes) return bytes;
      if (ended) throw failure ?? new Error('connection ended');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const takeLine = () =>
    take(() => {
      gather();
      const at = buffered.indexOf('\r\n');
      return at < 0 ? undefined : cut(at, 2);
    });
  const takeBytes = (length: number) =>
    take(() => {
      if (size < length) return undefined;
      gather();
      return cut(length);
    });

  /** Of a SELECT: then `0 RECENT` is an answer, and not how the half response goes on that ended the one before. */
  let countedBefore = false;
  const next = async (): Promise<ImapResponse> => {
    const response = await nextRaw();
    const counted = countedBefore;
    countedBefore = response.text.endsWith(' EXISTS');
    return response.text === '* 0 RECENT' && !counted ? next() : response;
  };
  const nextRaw = async (): Promise<ImapResponse> => {
    let text = '';
    const literals: Buffer[] = [];
    for (;;) {
      text += (await takeLine()).toString('latin1');
      const length = /\{(\d+)\}$/.exec(text)?.[1];
      if (length === undefined) return { text, literals };
      const literal = await takeBytes(Number(length));
      literals.push(literal);
      text += `\r\n${literal.toString('latin1')}`;
    }
  };

  const until = async (tag: string): Promise<ImapAnswer> => {
    const responses: ImapResponse[] = [];
    for (;;) {
      const response = await next();
      if (!response.text.startsWith(`${tag} `)) {
        responses.push(response);
        continue;
      }
      const [, status = '', text = ''] = /^\S+ (\S+) ?(.*)$/s.exec(response.text) ?? [];
      const untagged = responses.filter((each) => each.text.startsWith('* ')).map((each) => each.text);
      return { status, text, untagged, responses };
    }
  };

  const write = (bytes: string | Buffer) => {
    sink.write(bytes);
    if (sink !== socket) (sink as ReturnType<typeof createDeflateRaw>).flush(constants.Z_SYNC_FLUSH);
  };

  let counter = 0;
  const command = async (text: string, ...more: readonly (string | Buffer)[]): Promise<ImapAnswer> => {
    counter += 1;
    const tag = `T${counter}`;
    let line = `${tag} ${text}`;
    for (let at = 0; at < more.length; at += 2) {
      const literal = Buffer.from(more[at] ?? '');
      if (line.endsWith('+')) {
        write(Buffer.concat([Buffer.from(`${line.slice(0, -1)}{${literal.length}+}\r\n`), literal]));
      } else {
        write(`${line}{${literal.length}}\r\n`);
        const response = await next();
        if (!response.text.startsWith('+')) {
          const [, status = '', rest = ''] = /^\S+ (\S+) ?(.*)$/s.exec(response.text) ?? [];
          return { status, text: rest, untagged: [], responses: [response] };
        }
        write(literal);
      }
      line = String(more[at + 1] ?? '');
    }
    write(`${line}\r\n`);
    return until(tag);
  };

  const client: ImapClient = {
    greeting: (await next()).text,
    command,
    write,
    next,
    until,
    async rest() {
      const all: ImapResponse[] = [];
      try {
        for (;;) all.push(await next());
      } catch {
        return all;
      }
    },
    async startTls() {
      const answer = await command('STARTTLS');
      if (answer.status !== 'OK') throw new Error(`STARTTLS: ${answer.text}`);
      socket.removeAllListeners('data');
      const secure = connectTls({ socket, rejectUnauthorized: false });
      await once(secure, 'secureConnect');
      socket = secure;
      source = sink = secure;
      listen(secure);
    },
    async compress() {
      const answer = await command('COMPRESS DEFLATE');
      if (answer.status !== 'OK') throw new Error(`COMPRESS: ${answer.text}`);
      source.removeAllListeners('data');
      const inflate = createInflateRaw();
      source.pipe(inflate);
      listen(inflate);
      const deflate = createDeflateRaw();
      deflate.pipe(socket);
      sink = deflate;
    },
    get socket() {
      return socket;
    },
    closed,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await closed;
    },
  };
  return client;
}
