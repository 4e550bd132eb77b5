import { peerNetwork } from './peer-network.ts';

/** Bounds the bytes of messages that are in memory at once. */
export interface ByteBudget {
  /**
   * Sets `bytes` aside. The returned function gives them back; calling it twice is harmless. Undefined: so much is not
   * left now.
   */
  reserve(bytes: number): (() => void) | undefined;
}

/** One budget for all connections, of which no peer gets more than a share. */
export interface SharedByteBudget extends ByteBudget {
  /** The part that `peer`, a network address or an account, may use. */
  of(peer: string): ByteBudget;
}

/**
 * `limit` and `perPeer` in bytes. Nobody waits for bytes: who gets none says so to its peer (452) and is asked again
 * later. Memory is bounded by the limit: a peer is remembered only while it holds bytes.
 */
export function createByteBudget(limit: number, perPeer = limit): SharedByteBudget {
  const heldBy = new Map<string, number>();
  let left = limit;

  const reserve = (bytes: number) => {
    if (bytes > left) return undefined;
    left -= bytes;
    let held = bytes;
    return () => {
      left += held;
      held = 0;
    };
  };

  return {
    reserve,
    of(peer) {
      const network = peerNetwork(peer);
      return {
        reserve(bytes) {
          const held = heldBy.get(network) ?? 0;
          const release = held + bytes > perPeer ? undefined : reserve(bytes);
          if (release === undefined) return undefined;
          heldBy.set(network, held + bytes);
          let given = bytes;
          return () => {
            release();
            const rest = (heldBy.get(network) ?? 0) - given;
            given = 0;
            if (rest > 0) heldBy.set(network, rest);
            else heldBy.delete(network);
          };
        },
      };
    },
  };
}
