import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * What a scripted peer does at a step instead of what it should, or as that. Resolves when the next step may come.
 * `bottom` is the connection below TLS.
 */
export type Act = (socket: Socket, bottom: Socket) => void | Promise<void>;

/** Says these lines, each with CRLF. */
export const say =
  (...lines: readonly string[]): Act =>
  (socket) =>
    void socket.write(lines.map((line) => `${line}\r\n`).join(''));

/** These bytes and no others. */
export const raw =
  (bytes: string | Buffer): Act =>
  (socket) =>
    void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);

/** Says nothing, ever: the connection stands. */
export const hang: Act = () => new Promise(() => {});

/** Ends the connection as one does who is done. */
export const drop: Act = (socket) => {
  socket.end();
  return new Promise(() => {});
};

/** Breaks the connection off. */
export const reset: Act = (_socket, bottom) => {
  bottom.resetAndDestroy();
  return new Promise(() => {});
};

/** Says these bytes again and again until nobody listens. */
export const flood =
  (bytes: string): Act =>
  async (socket) => {
    const much = Buffer.from(bytes.repeat(Math.ceil(16_384 / bytes.length)), 'latin1');
    while (!socket.destroyed) {
      // It ends by an error as a rule.
      if (!socket.write(much)) await once(socket, 'drain').catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

/** One after the other. */
export const inTurn =
  (...acts: readonly Act[]): Act =>
  async (socket, bottom) => {
    for (const act of acts) await act(socket, bottom);
  };
