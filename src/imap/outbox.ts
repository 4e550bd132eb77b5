import type { Socket } from 'node:net';
import { constants, createDeflateRaw } from 'node:zlib';
import type { DeflateRaw } from 'node:zlib';
import type { Clock } from '../clock.ts';
import { minute } from '../clock.ts';
import type { Piece } from './wire/response.ts';
import { bytesOf } from './wire/response.ts';

/** The connection is closed, or was closed by us: whoever was writing or reading stops here. Never logged as a fault. */
export class ConnectionGone extends Error {
  override name = 'ConnectionGone';
}

/** What a session has to say, on its way to the socket: gathered into few writes, with a bound on what waits. */
export interface Outbox {
  /** Gathers; leaves with the next `flush`. Nothing happens once the connection is gone. */
  write(data: Piece): void;
  /** As `write`, for what may be big: waits while the peer does not read. Rejects with ConnectionGone. */
  send(data: Buffer): Promise<void>;
  /**
   * Writes the beginning of a response, `* `, of which whatever is written next is the rest. With the next flush, so to be
   * called before it.
   */
  beginResponse(): void;
  /** Hands what was gathered to the socket, as one write. */
  flush(): void;
  /** Flushes; resolves once the peer has read all but `HIGH_WATER`. Rejects with ConnectionGone. */
  drained(): Promise<void>;
  /** Between the answers of a long command: waits only where more than `HIGH_WATER` waits. Rejects with ConnectionGone. */
  pace(): Promise<void>;
  /** From the next write on everything is deflated (RFC 4978). What was written before leaves as it is. */
  compress(): void;
  /** Bytes written here that the kernel has not taken. */
  readonly waiting: number;
  /** Lets leave what was written, then ends the socket. Nothing may be written after. */
  end(): void;
  /** The connection is gone: waiting ends, the compressor is freed. Twice is harmless. */
  close(): void;
}

/**
 * Beyond this, `send` and `drained` wait. Enough that the next piece of a body is read from the store while this one
 * leaves; little enough that a thousand readers who stand still cost 250 MB and not more.
 */
export const HIGH_WATER = 256 * 1024;
/**
 * Beyond this the session ends: only notices of changes, which cannot wait, ever come so far, from a peer who does not
 * read while his mailbox goes on changing.
 */
export const MAX_WAITING = 1024 * 1024;
/** A peer who takes nothing at all for this long while we wait is gone. Delta Chat itself gives up after 60 s. */
export const STALL_TIMEOUT = 5 * minute;
/** Gathered bytes that leave without waiting for the end of the command. */
const GATHER = 64 * 1024;
/** `send` cuts here, so that `HIGH_WATER` means something. */
const SLICE = 64 * 1024;
/**
 * client.md 2.3: two zlib contexts an idle connection are dear; these take 40 % less at the same ratio on base64. Node
 * keeps one piece of output with each.
 */
const SMALL_WINDOW = { windowBits: 12, memLevel: 5, chunkSize: 8 * 1024 } as const;

/** How an untagged response begins. */
const BEGINNING = Buffer.from('* ');
/** What has begun goes on like this where no untagged response follows: true always here, and Delta Chat passes over it. */
const NO_NEWS = Buffer.from('0 RECENT\r\n');

export interface OutboxOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  /** More than `MAX_WAITING` waits, or the peer stands still: the session must end. Called once at most. */
  readonly giveUp: (why: 'overflow' | 'stalled') => void;
}

export function createOutbox({ socket, clock, giveUp }: OutboxOptions): Outbox {
  let gathered: Buffer[] = [];
  let size = 0;
  let deflate: DeflateRaw | undefined;
  /** Bytes in the compressor. */
  let deflating = 0;
  let closed = false;
  /** A response has begun. */
  let begun = false;
  /** Whoever waits for the peer to read. One command runs at a time, so there is one at most. */
  let waiter: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  const waiting = () => size + deflating + socket.writableLength;

  const progressed = () => {
    waiter?.resolve();
    waiter = undefined;
  };

  function flush(): void {
    if (size === 0) return;
    const data = gathered.length === 1 && gathered[0] ? gathered[0] : Buffer.concat(gathered, size);
    gathered = [];
    size = 0;
    if (closed || !socket.writable) return;
    if (!deflate) {
      socket.write(data, progressed);
      return;
    }
    deflating += data.length;
    deflate.write(data);
    // RFC 4978 3: the peer must be able to inflate what it has, so every flush ends on a byte.
    deflate.flush(constants.Z_SYNC_FLUSH, () => {
      deflating -= data.length;
      progressed();
    });
  }

  /** Resolves when something left, rejects when the connection ends or nothing leaves for `STALL_TIMEOUT`. */
  async function progress(): Promise<void> {
    using _timer = clock.after(STALL_TIMEOUT, () => giveUp('stalled'));
    await new Promise<void>((resolve, reject) => {
      waiter = { resolve, reject };
    });
  }

  async function drained(): Promise<void> {
    flush();
    while (!closed && waiting() > HIGH_WATER) await progress();
    if (closed || !socket.writable) throw new ConnectionGone();
  }

  function gather(data: Buffer): void {
    gathered.push(data);
    size += data.length;
    if (size >= GATHER) flush();
  }

  /** `data`, or the rest of the response that has begun. */
  function restOf(data: Buffer): Buffer {
    if (!begun) return data;
    begun = false;
    return data.subarray(0, BEGINNING.length).equals(BEGINNING)
      ? data.subarray(BEGINNING.length)
      : Buffer.concat([NO_NEWS, data]);
  }

  return {
    write(data) {
      if (closed || data.length === 0) return;
      gather(restOf(bytesOf(data)));
      if (waiting() > MAX_WAITING) giveUp('overflow');
    },

    async send(given) {
      const data = given.length === 0 ? given : restOf(given);
      for (let at = 0; at < data.length; at += SLICE) {
        if (closed) throw new ConnectionGone();
        gather(data.subarray(at, at + SLICE));
        if (waiting() > HIGH_WATER) await drained();
      }
    },

    beginResponse() {
      if (closed || begun) return;
      gather(BEGINNING);
      begun = true;
    },

    flush,
    drained,

    async pace() {
      if (closed || waiting() > HIGH_WATER) await drained();
    },

    compress() {
      flush();
      deflate = createDeflateRaw(SMALL_WINDOW);
      deflate.on('data', (chunk: Buffer) => {
        if (socket.writable) socket.write(chunk, progressed);
      });
      // Nothing a peer does can make deflate fail; if it does, the connection is of no use any more.
      deflate.on('error', () => socket.destroy());
    },

    get waiting() {
      return waiting();
    },

    end() {
      flush();
      if (!deflate) {
        socket.end();
        return;
      }
      deflate.once('end', () => socket.end());
      deflate.end();
    },

    close() {
      closed = true;
      gathered = [];
      size = 0;
      deflate?.destroy();
      deflate = undefined;
      waiter?.reject(new ConnectionGone());
      waiter = undefined;
    },
  };
}
