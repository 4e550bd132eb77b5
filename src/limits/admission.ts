import { peerNetwork } from './peer-network.ts';

export interface AdmissionOptions {
  /** Connections at once in all. */
  readonly max: number;
  /** Connections at once from one peer (an IPv4 address or an IPv6 /64). */
  readonly maxPerPeer: number;
}

/** Counts connections; shared by all listeners that one limit covers. */
export interface Admission {
  /**
   * Takes a place for a connection from `peer`, a network address. The returned function gives the place back;
   * calling it twice is harmless. Undefined: there is no place left.
   */
  admit(peer: string): (() => void) | undefined;
  /** Places taken now. */
  readonly count: number;
}

/** Memory is bounded by `max`: a peer is remembered only while it holds a connection. */
export function createAdmission({ max, maxPerPeer }: AdmissionOptions): Admission {
  const perPeer = new Map<string, number>();
  let count = 0;

  return {
    get count() {
      return count;
    },
    admit(peer) {
      const network = peerNetwork(peer);
      const held = perPeer.get(network) ?? 0;
      if (count >= max || held >= maxPerPeer) return undefined;
      count += 1;
      perPeer.set(network, held + 1);

      let given = true;
      return () => {
        if (!given) return;
        given = false;
        count -= 1;
        const left = (perPeer.get(network) ?? 1) - 1;
        if (left > 0) perPeer.set(network, left);
        else perPeer.delete(network);
      };
    },
  };
}
