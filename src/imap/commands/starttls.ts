import type { Context, Reply } from '../context.ts';
import { bad, ok } from '../context.ts';

/**
 * RFC 9051 6.2.1. What a client, or somebody on the way, sent after the command and before TLS would be run as if it
 * had come inside: such a connection is closed (wildduck.md 3.3). After the OK nothing is said until the client speaks.
 */
export function startTls(context: Context): Reply {
  const { connection, parts } = context;
  if (connection.secure) return bad('TLS is already active');
  return {
    ...ok('Begin TLS negotiation now'),
    after: async () => {
      if (connection.hasMore) connection.destroy();
      await connection.startTls(parts.secureContext());
    },
  };
}
