import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { peerNetwork } from '../limits/peer-network.ts';
import type { LocalRateLimit } from '../limits/rate-limit.ts';
import { isSharedAddress } from '../limits/shared-address.ts';
import { AUTOMATIC_PASSWORD_LENGTH } from './offer.ts';

/**
 * Why no account is made now. `closed` stays so until somebody changes it; `token`: one is made for who has a token, and
 * at `/new` alone; `busy` passes.
 */
export interface CreationStop {
  readonly kind: 'closed' | 'token' | 'busy';
  /** For the log. */
  readonly reason: string;
}

/** An account that somebody wants, its name and password already found to be in order. */
export interface CreationRequest {
  readonly password: string;
  /** The network address it is asked from; undefined for the relay's own, which no rate counts. */
  readonly peer: string | undefined;
}

export interface Registration {
  /** Asked before each account is made at a first login, and counts it. */
  readonly mayCreate: (request: CreationRequest) => CreationStop | undefined;
  /** Whether somebody without a token who asked now would get one; counts nothing. */
  readonly mayOffer: () => CreationStop | undefined;
  /**
   * Where a token is asked for, and this one is good: whether its account is made now. Counts it for `peer`, the network
   * address that it is asked from; without one nothing is counted.
   */
  readonly maySignUp: (peer: string | undefined) => CreationStop | undefined;
}

export interface RegistrationParts {
  readonly dataDir: string;
  readonly mode: 'open' | 'closed' | 'token';
  /** Refuse what clients sign up for by themselves, to have one more relay. */
  readonly refuseAutomatic: boolean;
  /** Why the machine should get no account more, undefined where it may. */
  readonly brakes: () => string | undefined;
  /** New accounts of all together; undefined: as many as come. */
  readonly rate: LocalRateLimit | undefined;
  /** The same for one network each. */
  readonly ratePerNetwork: LocalRateLimit | undefined;
}

/**
 * Who may have an account. The switch is a setting, and a file as upstream has it (`/etc/chatmail-nocreate`, relay.md
 * 10; ours is `<data_dir>/nocreate`), looked at each time, so that it acts at once.
 */
export function createRegistration(parts: RegistrationParts): Registration {
  const file = join(parts.dataDir, 'nocreate');

  function closed(): CreationStop | undefined {
    if (parts.mode === 'closed') return { kind: 'closed', reason: 'registration is closed' };
    return existsSync(file) ? { kind: 'closed', reason: 'the file nocreate is there' } : undefined;
  }

  function braked(): CreationStop | undefined {
    const busy = parts.brakes();
    return busy === undefined ? undefined : { kind: 'busy', reason: busy };
  }

  function mayOffer(): CreationStop | undefined {
    const byToken = { kind: 'token', reason: 'registration is by token' } as const;
    return closed() ?? (parts.mode === 'token' ? byToken : braked());
  }

  function overRate(peer: string): CreationStop | undefined {
    // Behind a gateway everybody has one address: a limit for it would be one for all of them.
    if (!isSharedAddress(peer) && parts.ratePerNetwork?.take(peerNetwork(peer)).ok === false) {
      return { kind: 'busy', reason: 'more than max_new_accounts_per_network' };
    }
    if (parts.rate?.take('all').ok === false) return { kind: 'busy', reason: 'more than max_new_accounts' };
    return undefined;
  }

  return {
    mayOffer,
    maySignUp: (peer) => closed() ?? braked() ?? (peer === undefined ? undefined : overRate(peer)),
    mayCreate({ password, peer }) {
      const stop = mayOffer();
      if (stop) return stop;
      if (parts.refuseAutomatic && [...password].length === AUTOMATIC_PASSWORD_LENGTH) {
        return { kind: 'closed', reason: 'an automatic sign-up' };
      }
      return peer === undefined ? undefined : overRate(peer);
    },
  };
}
