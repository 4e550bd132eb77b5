import { minute } from '../../clock.ts';
import type { Timer } from '../../clock.ts';
import type { Context, Reply } from '../context.ts';
import { bad, ok } from '../context.ts';
import { continuation, statusLine } from '../wire/response.ts';

/**
 * Delta Chat gives a silent IDLE up after 5 minutes and asks anew; each word of ours resets that (client.md 2.7), and
 * keeps the way through NATs open. Two minutes are Dovecot's.
 */
export const KEEPALIVE = 2 * minute;

/** RFC 2177. What others change is told the moment the bus says so; DONE ends it, anything else does with BAD. */
export async function idle(context: Context): Promise<Reply> {
  const { connection, parts } = context;
  const { out } = connection;
  let timer: Timer | undefined;
  const stillHere = () => {
    context.write(statusLine('*', 'OK', 'Still here'));
    out.flush();
    timer = parts.clock.after(KEEPALIVE, stillHere);
  };
  timer = parts.clock.after(KEEPALIVE, stillHere);
  context.idling = true;
  try {
    context.write(continuation('idling'));
    // What came between SELECT and now.
    context.tell({ expunges: true, flags: true });
    out.flush();
    const event = await connection.nextLine();
    if (event.kind === 'line' && /^done$/i.test(event.line.toString('latin1'))) return ok('IDLE completed');
    const reply = bad('Expected DONE');
    return event.kind === 'refused' && event.close ? { ...reply, after: () => connection.end() } : reply;
  } finally {
    context.idling = false;
    timer[Symbol.dispose]();
  }
}
