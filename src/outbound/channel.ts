import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { KnownAbsent } from './known-absent.ts';
import type { Mxdeliv } from './mxdeliv.ts';
import { connectSmtp } from './smtp-client.ts';
import type { SmtpClient, SmtpClientParts, SmtpTls } from './smtp-client.ts';

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
 * is given up. A host whose 443 fails is remembered, also when that becomes known later: `closing` ends such a wait.
 * Rejects as connectSmtp where neither stands.
 */
export async function openChannel(
  parts: ChannelParts,
  host: string,
  tls: SmtpTls,
  signal: AbortSignal,
  closing: AbortSignal,
): Promise<Channel> {
  const { mxdeliv, absent, clock } = parts;
  const smtp = async (within: AbortSignal): Promise<Channel> => ({
    via: 'smtp',
    client: await connectSmtp(parts, host, tls, within),
  });
  if (absent.has(host)) return smtp(signal);
  if (mxdeliv.isOpen(host)) return { via: 'mxdeliv', opened: undefined };

  let won = false;
  const https = mxdeliv.open(host, tls, closing).then(
    (opened): Channel | undefined => {
      if (!won) return { via: 'mxdeliv', opened };
      opened.destroy();
      return undefined;
    },
    () => {
      if (!closing.aborted) absent.add(host);
      return undefined;
    },
  );
  const headStart = new Promise<undefined>(
    (resolve) => void clock.after(HEAD_START, () => resolve(undefined)),
  );
  const early = await Promise.race([https, headStart]);
  if (early) return early;

  const loser = new AbortController();
  const other = smtp(AbortSignal.any([signal, loser.signal]));
  // Whichever stands first; that one of them fails decides nothing.
  const first = await Promise.race([
    other.catch(() => https),
    https.then((channel) => channel ?? other.catch(() => undefined)),
  ]);
  won = true;
  if (first?.via === 'mxdeliv') {
    loser.abort(new Error('443 was faster'));
    // It may stand in this very moment.
    void other.then(
      (late) => late.via === 'smtp' && late.client[Symbol.dispose](),
      () => {},
    );
  }
  return first ?? other;
}
