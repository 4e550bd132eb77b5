import { Type } from 'typebox';
import type { NewAccounts } from '../../accounts/new-account.ts';
import { accountLink, loginLink, needsLoginLink } from '../addresses.ts';
import type { Addresses } from '../addresses.ts';
import type { WebApp } from '../web-app.ts';

export interface NewAccountParts {
  readonly addresses: Addresses;
  readonly newAccounts: NewAccounts;
}

const made = Type.Object({
  email: Type.String(),
  password: Type.String(),
  dclogin_url: Type.Optional(Type.String()),
});
const refused = Type.Object({ reason: Type.String() });
const response = { 200: made, 403: refused, 503: refused };

const statusOf = { closed: 403, busy: 503 } as const;
/** Seconds; what makes us busy is measured over a minute. */
const RETRY_AFTER = 60;

/**
 * `POST /new`, and where codes printed for older relays lead, `/cgi-bin/newemail.py`: Delta Chat follows no redirect.
 * GET is for a person whose browser came here by the code: it sends him to the app.
 */
export function newAccountRoutes(app: WebApp, { addresses, newAccounts }: NewAccountParts): void {
  for (const url of ['/new', '/cgi-bin/newemail.py']) {
    app.post(url, { schema: { response } }, async (_request, reply) => {
      // Web apps may ask, too: what they get is theirs, and no cookie is involved.
      reply.header('access-control-allow-origin', '*').header('cache-control', 'no-store');
      const account = await newAccounts.make();
      if (account.kind === 'made') {
        const { address, password } = account;
        const own = addresses.certificateIsPublic()
          ? {}
          : { dclogin_url: loginLink(addresses, address, password) };
        return reply.code(200).send({ email: address, password, ...own });
      }
      if (account.kind === 'busy') reply.header('retry-after', RETRY_AFTER);
      return reply.code(statusOf[account.kind]).send({ reason: account.reason });
    });
    app.options(url, async (_request, reply) =>
      reply
        .headers({
          'access-control-allow-origin': '*',
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'content-type',
          'access-control-max-age': '86400',
        })
        .code(204)
        .send(),
    );
    app.get(url, async (_request, reply) =>
      // Where only dclogin: works, it is on the home page.
      reply.redirect(needsLoginLink(addresses) ? '/' : accountLink(addresses), 301),
    );
  }
}
