import type { Events } from '../observe/events.ts';
import { StoreUnavailable } from '../store/contract.ts';
import { drawOffer } from './offer.ts';
import type { OfferParts } from './offer.ts';
import type { MayCreate } from './registration.ts';

/** What `/new` hands out, or why it does not: `reason` is shown to a person as it stands (client.md 1.1). */
export type NewAccount =
  | { readonly kind: 'made'; readonly address: string; readonly password: string }
  | { readonly kind: 'closed' | 'busy'; readonly reason: string };

/** Never rejects. */
export type MakeAccount = () => Promise<NewAccount>;

export interface NewAccountParts extends OfferParts {
  readonly mayCreate: MayCreate;
  readonly events: Pick<Events, 'fault' | 'storeUnavailable'>;
}

const BUSY = 'This relay cannot make new accounts right now. Please try again in a few minutes.';
const CLOSED = 'This relay does not take new accounts.';

/** For `POST /new`: a name and a password that will do at the first login, if accounts are made now. */
export function createMakeAccount(parts: NewAccountParts): MakeAccount {
  const { mayCreate, events } = parts;
  return async () => {
    const stop = mayCreate();
    if (stop?.kind === 'closed') return { kind: 'closed', reason: CLOSED };
    if (stop?.kind === 'busy') return { kind: 'busy', reason: BUSY };
    try {
      const offer = await drawOffer(parts);
      return offer === undefined ? { kind: 'busy', reason: BUSY } : { kind: 'made', ...offer };
    } catch (error) {
      if (error instanceof StoreUnavailable) events.storeUnavailable(error);
      else events.fault('new account', error);
      return { kind: 'busy', reason: BUSY };
    }
  };
}
