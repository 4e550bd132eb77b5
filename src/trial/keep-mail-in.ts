import type { SendOut } from '../outbound/consignment.ts';

/**
 * How mail leaves a trial: it does not. `_teal.test` is nobody's name, so no other relay could verify our signature, and
 * strangers must not hear from a machine on which somebody only looks around. The sender gets a bounce that says so.
 */
export const keepMailIn: SendOut = ({ recipients }) =>
  Promise.resolve(
    recipients.map(() => ({
      kind: 'failed',
      problem: {
        status: '5.7.1',
        host: undefined,
        reply: undefined,
        text: 'this relay is a trial, and no mail leaves it',
      },
    })),
  );
