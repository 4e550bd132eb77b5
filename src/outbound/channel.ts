import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { unlessAborted } from './deadline.ts';
import type { KnownAbsent } from './known-absent.ts';
import type { Mxdeliv } from './mxdeliv.ts';
import { connectSmtp } from './smtp-client.ts';
import type { SmtpClient, SmtpClientParts } from './smtp-client.ts';
import { SmtpRefused } from './smtp-wire.ts';
import type { Target } from './target.ts';

/** How long 443 has for itself: a firewall that drops what goes there must not cost a chat message more than this. */
export const HEAD_START = 300;

/** A way to a host that stands: a connection for /mxdeliv (one that waits, or this new one), or one of SMTP. */
export type Channel =
  | { readonly via: 'mxdeliv'; readonly opened: Socket | undefined }
  | { readonly via: 'smtp'; readonly client: SmtpClient };

export interface ChannelParts extends SmtpClientParts {
  readonly mxdeliv: Mxdeliv;
  readonly absent: KnownAbsent;
  readonly clock: Clock;
}

/**
 * Opens 443, and 25 beside it where that takes longer than HEAD_START or fails; the first that stands is used, the other
 * is given up. A host whose 443 fails while 25 stands is remembered, also when that becomes known later: `closing` ends
 * such a wait. Rejects as connectSmtp where neither stands.
 */
export async function openChannel(
  parts: ChannelParts,
  target: Target,
  signal: AbortSignal,
  closing: AbortSignal,
): Promise<Channel> {
  const { mxdeliv, absent, clock } = parts;
  if (mxdeliv.isOpen(target)) return { via: 'mxdeliv', opened: undefined };
  const https = mxdeliv.open(target, closing).then(
    (opened) => ({ via: 'mxdeliv', opened }) as const,
    () => undefined,
  );
  let chosen: Channel | undefined;
  try {
    const early = await unlessAborted(signal, Promise.race([https, headStart(clock, https)]));
    if (early) return (chosen = early);
    const loser = new AbortController();
    const smtp = openSmtp(parts, target, AbortSignal.any([signal, loser.signal]));
    // Whichever stands first; that one of them fails decides nothing.
    const first = await unlessAborted(
      signal,
      Promise.race<Channel | undefined>([
        smtp.catch(() => https),
        https.then(
          (channel): Channel | Promise<Channel | undefined> => channel ?? smtp.catch(() => undefined),
        ),
      ]),
    );
    if (first?.via !== 'mxdeliv') return (chosen = first ?? (await smtp));
    loser.abort(new Error('443 was faster'));
    // It may stand in this very moment.
    void smtp.then(
      ({ client }) => client[Symbol.dispose](),
      () => {},
    );
    return (chosen = first);
  } finally {
    void https.then((channel) => {
      if (channel && channel !== chosen) channel.opened.destroy();
      if (!channel && chosen?.via === 'smtp' && !closing.aborted) absent.add(target.host);
    });
  }
}

/** SMTP alone. Rejects as connectSmtp. */
export async function openSmtp(
  parts: ChannelParts,
  { host, smtp }: Target,
  signal: AbortSignal,
): Promise<Extract<Channel, { via: 'smtp' }>> {
  try {
    return { via: 'smtp', client: await connectSmtp(parts, host, smtp.tls, signal) };
  } catch (error) {
    // relay.md 3: port 25 may be closed to us altogether, and then 443 is the only way, whatever was wrong with it once.
    if (!signal.aborted && !(error instanceof SmtpRefused)) parts.absent.remove(host);
    throw error;
  }
}

/** Resolves with nothing when the head start is over; never where `first` has ended before. */
function headStart(clock: Clock, first: Promise<unknown>): Promise<undefined> {
  return new Promise((resolve) => {
    const timer = clock.after(HEAD_START, () => resolve(undefined));
    void first.then(() => timer[Symbol.dispose]());
  });
}
