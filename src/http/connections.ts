import type { Socket } from 'node:net';
import { minute, second } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import { refuse } from '../errors.ts';
import type { Admission } from '../limits/admission.ts';
import type { Events } from '../observe/events.ts';

export interface ConnectionsParts {
  readonly service: 'http' | 'https';
  readonly admission: Admission;
  readonly clock: Clock;
  readonly events: Events;
}

/** A connection that was let in. */
export interface Place {
  /** Gives the place back and ends the time limit: somebody else looks after the connection now. Twice is harmless. */
  leave(): void;
}

/** Of a response, of HTTP/1.1 or HTTP/2, what is needed here. */
interface Answer {
  once(event: 'close', listener: () => void): unknown;
}

/** Every connection to a port of the web: their number is bounded, and so is the time that each has. */
export interface Connections {
  /**
   * Takes a place for a connection of `peer`, a network address; without one left the connection is destroyed. It has
   * `HEAD_TIME` to send its first request.
   */
  admit(socket: Socket, peer: string): Place | undefined;
  /** For `request` of a server whose connections were admitted. `socket` is the admitted one, below TLS. */
  request(socket: Socket, request: unknown, response: Answer): void;
  /** Destroys whatever is still here. */
  destroyAll(): void;
}

/** From connecting, or from the last answer, to the end of a request's header; TLS included. */
export const HEAD_TIME = 20 * second;
/** From the end of the header to the end of the answer. */
export const REQUEST_TIME = 2 * minute;
/** Connections turned away are logged this often, with their number: a flood must not flood the log. */
const TURNED_AWAY_INTERVAL = 10 * second;

export function createConnections({ service, admission, clock, events }: ConnectionsParts): Connections {
  const timers = new Map<Socket, Timer>();
  /** Requests under way on a connection: HTTP/2 has several. */
  const open = new WeakMap<Socket, number>();
  let turnedAway = 0;
  let turnedAwayAt = -Infinity;

  function limit(socket: Socket, ms: number): void {
    timers.get(socket)?.[Symbol.dispose]();
    timers.set(
      socket,
      clock.after(ms, () => socket.destroy()),
    );
  }

  function turnAway(socket: Socket): void {
    socket.destroy();
    turnedAway += 1;
    if (clock.now() - turnedAwayAt < TURNED_AWAY_INTERVAL) return;
    events.sessionRefused(service, '-', refuse('too_many_connections', `${turnedAway} turned away`));
    turnedAwayAt = clock.now();
    turnedAway = 0;
  }

  return {
    admit(socket, peer) {
      socket.on('error', (error) => events.sessionFailed(service, '-', error));
      const release = admission.admit(peer);
      if (release === undefined) {
        turnAway(socket);
        return undefined;
      }
      limit(socket, HEAD_TIME);
      const leave = () => {
        release();
        timers.get(socket)?.[Symbol.dispose]();
        timers.delete(socket);
      };
      socket.once('close', leave);
      return { leave };
    },
    request(socket, _request, response) {
      if (!timers.has(socket)) return;
      limit(socket, REQUEST_TIME);
      open.set(socket, (open.get(socket) ?? 0) + 1);
      response.once('close', () => {
        const left = (open.get(socket) ?? 1) - 1;
        open.set(socket, left);
        if (left === 0 && timers.has(socket)) limit(socket, HEAD_TIME);
      });
    },
    destroyAll() {
      for (const socket of [...timers.keys()]) socket.destroy();
    },
  };
}
