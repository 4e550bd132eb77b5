import type { Events } from '../observe/events.ts';
import { StoreUnavailable } from '../store/contract.ts';
import { drawOffer } from './offer.ts';
import type { OfferParts } from './offer.ts';
import type { Registration } from './registration.ts';

/** Why there is no account; `reason` is shown to a person as it stands (client.md 1.1). */
export interface NoAccount {
  readonly kind: 'closed' | 'busy';
  readonly reason: string;
}

/** What `/new` hands out. */
export type NewAccount =
  { readonly kind: 'made'; readonly address: string; readonly password: string } | NoAccount;

/** New accounts as the web sees them. */
export interface NewAccounts {
  /** Never rejects. */
  make(): Promise<NewAccount>;
  /** Why nobody gets one now; undefined where one may be had. */
  refusal(): NoAccount | undefined;
}

export interface NewAccountParts extends OfferParts {
  readonly mayOffer: Registration['mayOffer'];
  readonly events: Pick<Events, 'fault' | 'storeUnavailable'>;
}

const closed: NoAccount = { kind: 'closed', reason: 'This relay does not take new accounts.' };
const busy: NoAccount = {
  kind: 'busy',
  reason: 'This relay cannot make new accounts right now. Please try again in a few minutes.',
};

/** For `POST /new`: a name and a password that will do at the first login, if accounts are made now. */
export function createNewAccounts(parts: NewAccountParts): NewAccounts {
  const { mayOffer, events } = parts;
  const refusal = () => {
    const stop = mayOffer();
    return stop && (stop.kind === 'closed' ? closed : busy);
  };
  return {
    refusal,
    async make() {
      const no = refusal();
      if (no) return no;
      try {
        const offer = await drawOffer(parts);
        return offer === undefined ? busy : { kind: 'made', ...offer };
      } catch (error) {
        if (error instanceof StoreUnavailable) events.storeUnavailable(error);
        else events.fault('new account', error);
        return busy;
      }
    },
  };
}
