import { describe } from 'node:test';
import { accountSuite } from './accounts.ts';
import { bodySuite } from './bodies.ts';
import { changeSuite } from './changes.ts';
import { copySuite } from './copy.ts';
import { expungeSuite } from './expunge.ts';
import type { OpenStore } from './fixture.ts';
import { flagSuite } from './flags.ts';
import { mailboxSuite } from './mailboxes.ts';
import { orderSuite } from './order.ts';
import { pushSuite } from './push.ts';
import { queueSuite } from './queue.ts';
import { quotaSuite } from './quota.ts';
import { signUpTokenSuite } from './sign-up-tokens.ts';
import { closingSuite } from './closing.ts';

/** All that `src/store/contract.ts` promises: every store must pass it, unchanged. */
export function contractSuite(name: string, open: OpenStore): void {
  describe(`the store contract, kept by ${name}`, () => {
    accountSuite(open);
    mailboxSuite(open);
    bodySuite(open);
    orderSuite(open);
    flagSuite(open);
    expungeSuite(open);
    copySuite(open);
    quotaSuite(open);
    changeSuite(open);
    pushSuite(open);
    queueSuite(open);
    signUpTokenSuite(open);
    closingSuite(open);
  });
}
