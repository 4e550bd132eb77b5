import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:net';

/** Below those that a system gives to whoever asks for any (32768 and up on Linux, 49152 elsewhere). */
const FIRST = 20_000;
const COUNT = 7000;
const MAX_TRIES = 50;

/**
 * Has a server listen on 127.0.0.1, on a port that it finds free again when it has been closed for a while: nobody gets
 * it who asks for any port. Answers with the port.
 */
export async function listenOnQuietPort(server: Server): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = FIRST + randomInt(COUNT);
    server.listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      return port;
    } catch (error) {
      if (tries >= MAX_TRIES) throw error;
    }
  }
}
