import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { TLSSocket } from 'node:tls';
import { createInflateRaw } from 'node:zlib';
import type { InflateRaw } from 'node:zlib';
import type { Clock } from '../clock.ts';
import { second } from '../clock.ts';
import type { Outbox } from './outbox.ts';
import { ConnectionGone, createOutbox } from './outbox.ts';
import type { LiteralDecision, LiteralOffer, Splitter, SplitterEvent } from './wire/splitter.ts';
import { AFTER_LOGIN, BEFORE_LOGIN, createSplitter } from './wire/splitter.ts';

type LineEvent = NonNullable<ReturnType<Splitter['nextLine']>>;

/** One client's socket: bytes become commands, answers become bytes; TLS and compression are put on in between. */
export interface Connection {
  /** Another one after `startTls`. */
  readonly out: Outbox;
  readonly secure: boolean;
  readonly closed: boolean;
  /** When the client last sent something. */
  readonly lastInput: number;
  /** The next command. Rejects with ConnectionGone. */
  nextEvent(): Promise<SplitterEvent>;
  /** The next line as it is: DONE, base64. Rejects with ConnectionGone. */
  nextLine(): Promise<LineEvent>;
  /** Longer lines from now on. */
  loggedIn(): void;
  /** We wait for the client, not it for us. */
  readonly listening: boolean;
  /** The client has sent more than the command we are at. */
  readonly hasMore: boolean;
  /** Puts TLS on as the server and forgets what was said before. Rejects with ConnectionGone if that fails. */
  startTls(context: SecureContext): Promise<void>;
  /** Puts raw deflate on, both ways (RFC 4978). */
  compress(): void;
  /**
   * Lets what was written leave, then closes; cuts off a peer who does not let us after `CLOSE_TIMEOUT`. Twice is
   * harmless.
   */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/**
 * Bytes that a client may have sent ahead while a command runs; then we stop reading and TCP holds it back. Some
 * hundred pipelined commands; with the kernel's buffers all that one connection can make us keep.
 */
export const MAX_PENDING = 64 * 1024;
/** Clients write little. The window is theirs: 32 KB. */
const INFLATED_PIECE = 8 * 1024;
/** Time for the last words to leave. */
export const CLOSE_TIMEOUT = 5 * second;

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  /** Whether a literal may come in; asked before it is read. */
  readonly decide: (offer: LiteralOffer) => LiteralDecision;
  /** The socket is closed; called once. `error` where the network or the peer broke it. */
  readonly onClose: (error: Error | undefined) => void;
}

export function createConnection({ socket: first, clock, decide, onClose }: ConnectionOptions): Connection {
  let socket = first;
  let secure = first instanceof TLSSocket;
  let splitter = createSplitter({ limits: BEFORE_LOGIN, decide });
  let inflate: InflateRaw | undefined;
  let out = openOutbox();
  let lastInput = clock.now();
  /** Nothing comes or goes any more. */
  let ended = false;
  let ending = false;
  let closed = false;
  let failure: Error | undefined;
  /** The session waits for bytes. It waits in one place at most. */
  let wake: (() => void) | undefined;

  function openOutbox(): Outbox {
    return createOutbox({
      socket,
      clock,
      giveUp: (why) => {
        failure ??= new Error(why === 'overflow' ? 'client does not read' : 'client stands still');
        destroy();
      },
    });
  }

  function destroy(): void {
    socket.destroy();
    shut();
  }

  /** Nothing comes any more: whoever waits hears of it. */
  function shut(): void {
    ended = true;
    out.close();
    inflate?.destroy();
    wake?.();
  }

  function feed(chunk: Buffer): void {
    splitter.push(chunk);
    if (splitter.pending > MAX_PENDING) (inflate ?? socket).pause();
    wake?.();
  }

  function read(chunk: Buffer): void {
    lastInput = clock.now();
    if (!inflate) feed(chunk);
    else if (!inflate.write(chunk)) socket.pause();
  }

  function close(): void {
    if (closed) return;
    closed = true;
    shut();
    onClose(failure);
  }

  function stopListening(): void {
    socket.off('data', read);
    socket.off('end', shut);
    socket.off('close', close);
  }

  function listen(): void {
    socket.on('data', read);
    // Half-closed is closed: no client of ours waits for answers after it has gone.
    socket.on('end', shut);
    socket.on('error', fail);
    socket.on('close', close);
  }

  function fail(error: Error): void {
    failure ??= error;
  }

  async function pull<T>(take: () => T | undefined): Promise<T> {
    for (;;) {
      if (ended) throw new ConnectionGone();
      const event = take();
      if (event !== undefined) return event;
      (inflate ?? socket).resume();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = undefined;
    }
  }

  listen();

  return {
    get out() {
      return out;
    },
    get secure() {
      return secure;
    },
    get closed() {
      return ended;
    },
    get lastInput() {
      return lastInput;
    },
    get listening() {
      return wake !== undefined;
    },
    get hasMore() {
      return splitter.pending > 0 || socket.readableLength > 0;
    },

    nextEvent: () => pull(() => splitter.next()),
    nextLine: () => pull(() => splitter.nextLine()),
    loggedIn: () => splitter.setLimits(AFTER_LOGIN),

    async startTls(context) {
      if (ended) throw new ConnectionGone();
      stopListening();
      const plain = socket;
      // What it holds already, put back by whoever looked at the first bytes, is TLS's to read.
      plain.pause();
      // RFC 7301: whoever asks for another protocol than IMAP is not let in. Delta Chat asks for `imap` or for nothing.
      const tls = new TLSSocket(plain, {
        isServer: true,
        secureContext: context,
        ALPNProtocols: ['imap'],
      });
      socket = tls;
      out.close();
      out = openOutbox();
      splitter.takePending();
      splitter = createSplitter({ limits: BEFORE_LOGIN, decide });
      plain.once('close', () => tls.destroy());
      listen();
      await new Promise<void>((resolve) => {
        tls.once('secure', () => {
          secure = true;
          resolve();
        });
        wake = resolve;
      });
      wake = undefined;
      if (!secure) throw new ConnectionGone();
    },

    compress() {
      out.compress();
      const stream = createInflateRaw({ chunkSize: INFLATED_PIECE });
      stream.on('data', feed);
      stream.on('drain', () => socket.resume());
      stream.on('error', (error) => {
        fail(error);
        destroy();
      });
      inflate = stream;
      const ahead = splitter.takePending();
      if (ahead.length > 0) stream.write(ahead);
    },

    end() {
      if (ending || closed) return;
      ending = true;
      const timer = clock.after(CLOSE_TIMEOUT, destroy);
      socket.once('close', () => timer[Symbol.dispose]());
      out.end();
      ended = true;
      // What still comes is read and thrown away: an unread byte would turn our FIN into a reset that eats the BYE.
      socket.off('data', read);
      socket.resume();
      wake?.();
    },

    destroy,
  };
}
