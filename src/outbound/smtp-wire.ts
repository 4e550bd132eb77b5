import type { Socket } from 'node:net';
import { second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { deadline, reasonOf } from './deadline.ts';
import { createReplyReader } from './reply.ts';
import type { Reply } from './reply.ts';

/** Bytes of replies that nobody has asked for yet: PIPELINING has a hundred of them (MAIL, RCPT for each, DATA). */
export const MAX_UNREAD = 128 * 1024;
/** How long QUIT may take to be sent before the connection is broken off instead. */
const QUIT_TIME = 5 * second;

/** The server has an answer that ends what was begun, or lacks what is needed. */
export class SmtpRefused extends Error {
  override name = 'SmtpRefused';
  readonly reply: Reply | undefined;

  constructor(message: string, reply?: Reply) {
    super(message);
    this.reply = reply;
  }
}

/** Bytes out and replies in, with a time limit for each step. One step at a time. */
export interface Wire {
  /** Whether a reply, or a piece of one, is here that nobody has read. */
  readonly pending: boolean;
  /** Whether it can be used for more: it stands, and nothing unasked has come. */
  readonly usable: boolean;
  /** Resolves when the bytes are on their way, not more than a buffer's worth behind. */
  write(bytes: Buffer | string, ms: number, signal: AbortSignal): Promise<void>;
  /** The next reply; `what` names it in the error where none comes: "its reply to MAIL". */
  reply(ms: number, what: string, signal: AbortSignal): Promise<Reply>;
  /** Nothing more is to be sent: the server and we do not agree on what has been said. */
  spoil(why: string): void;
  /** Reads nothing more; the socket stands, for TLS. */
  release(): void;
  /** Says QUIT (RFC 5321 4.1.1.10) and closes without waiting for the answer. */
  quit(): void;
}

export function createWire(socket: Socket, clock: Clock): Wire {
  const reader = createReplyReader();
  const replies: Reply[] = [];
  let unread = 0;
  let last: Reply | undefined;
  let broken: Error | undefined;
  /** TypeScript does not see that it changes meanwhile. */
  const breakage = (): Error | undefined => broken;
  /** One waits at a time. */
  let wake = () => {};
  const fail = (error: Error): void => {
    broken ??= error;
    wake();
  };
  const onData = (chunk: Buffer) => {
    if (broken) return;
    try {
      for (const reply of reader.push(chunk)) {
        replies.push(reply);
        unread += sizeOf(reply);
        if (unread > MAX_UNREAD) throw new Error('it says more than it is asked');
      }
    } catch (error) {
      fail(error as Error);
      socket.destroy();
    }
    wake();
  };
  const onClose = () => fail(new Error('the connection was closed'));
  socket.on('data', onData);
  socket.on('error', fail);
  socket.on('close', onClose);

  const until = async (ready: () => boolean, time: AbortSignal): Promise<void> => {
    const look = () => wake();
    time.addEventListener('abort', look);
    try {
      while (!ready()) {
        if (time.aborted) throw reasonOf(time);
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      time.removeEventListener('abort', look);
    }
  };
  /** RFC 5321 3.8: a server that goes away says 421 before, to whatever it was asked. */
  const why = (error: Error): Error =>
    last?.code === 421 ? new SmtpRefused('it closed the connection', last) : error;

  return {
    get pending() {
      return reader.pending || replies.length > 0;
    },
    get usable() {
      return broken === undefined && !socket.destroyed && replies.length === 0 && !reader.pending;
    },
    async write(bytes, ms, signal) {
      if (broken) throw why(broken);
      if (socket.write(bytes)) return;
      using time = deadline(clock, ms, 'taking what we send', signal);
      let drained = false;
      const onDrain = () => {
        drained = true;
        wake();
      };
      socket.once('drain', onDrain);
      try {
        await until(() => drained || broken !== undefined, time.signal);
      } finally {
        socket.off('drain', onDrain);
      }
      const now = breakage();
      if (now) throw why(now);
    },
    async reply(ms, what, signal) {
      using time = deadline(clock, ms, what, signal);
      await until(() => replies.length > 0 || broken !== undefined, time.signal);
      const reply = replies.shift();
      if (!reply) throw why(broken ?? new Error('the connection was closed'));
      unread -= sizeOf(reply);
      return (last = reply);
    },
    spoil: (because) => fail(new Error(because)),
    release() {
      socket.off('data', onData);
      socket.off('close', onClose);
    },
    quit() {
      const timer = clock.after(QUIT_TIME, () => socket.destroy());
      socket.once('close', () => timer[Symbol.dispose]());
      socket.write('QUIT\r\n');
      socket.destroySoon();
    },
  };
}

/** An empty line costs, too. */
function sizeOf({ lines }: Reply): number {
  return lines.reduce((sum, line) => sum + line.length + 64, 0);
}
