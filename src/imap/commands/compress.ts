import type { Context, Reply } from '../context.ts';
import { bad, no, ok } from '../context.ts';

/** RFC 4978. After the OK nothing is said until the client speaks: it throws away what came early (client.md 2.6, 10). */
export function compress(mechanism: string, context: Context): Reply {
  if (context.compression === 'off') return bad('COMPRESS is not offered');
  if (context.compression === 'active') return no('Compression is already active', 'COMPRESSIONACTIVE');
  if (mechanism !== 'DEFLATE') return bad('Unknown compression mechanism');
  return {
    ...ok('DEFLATE active'),
    after: () => {
      context.compression = 'active';
      context.connection.compress();
    },
  };
}
