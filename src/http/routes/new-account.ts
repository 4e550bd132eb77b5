import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { NewAccounts } from '../../accounts/new-account.ts';
import { accountLink, loginLink, needsLoginLink, newAccountUrl } from '../addresses.ts';
import type { Addresses } from '../addresses.ts';
import { strictPolicy } from '../site/policy.ts';
import type { Site } from '../site/site.ts';
import { formValues, linkValues, noLink } from '../site/values.ts';
import type { Values } from '../site/template.ts';
import type { WebApp } from '../web-app.ts';

export interface NewAccountParts {
  readonly addresses: Addresses;
  readonly newAccounts: NewAccounts;
  readonly site: Site;
}

const made = Type.Object({
  email: Type.String(),
  password: Type.String(),
  dclogin_url: Type.Optional(Type.String()),
});
const refused = Type.Object({ reason: Type.String() });

const statusOf = { closed: 403, token: 403, busy: 503 } as const;
/** Seconds; what makes us busy is measured over a minute. */
const RETRY_AFTER = 60;

/**
 * `POST /new`, and where codes printed for older relays lead, `/cgi-bin/newemail.py`: Delta Chat follows no redirect.
 * GET is for a person whose browser came here by the code, and makes nothing: it sends him to the app, or where a token
 * is asked for, shows him his invitation. Where Delta Chat cannot ask by itself, the page there has a button that makes
 * the account.
 */
export function newAccountRoutes(app: WebApp, { addresses, newAccounts, site }: NewAccountParts): void {
  /** A page about one visitor's invitation, for nobody to keep. */
  async function showInvitation(reply: FastifyReply, status: number, values: Values): Promise<FastifyReply> {
    const { html, bundled } = await site.invitationPage(values);
    const posts = values['form'] !== undefined;
    if (bundled) reply.header('content-security-policy', strictPolicy({ posts }));
    reply.header('cache-control', 'no-store').type('text/html; charset=utf-8');
    return reply.code(status).send(html);
  }

  async function invite(token: string, reply: FastifyReply): Promise<FastifyReply> {
    const refusal = await newAccounts.refusalOf(token);
    if (refusal) return showInvitation(reply, statusOf[refusal.kind], noLink(refusal.reason));
    // Delta Chat asks /new only over a certificate that it takes in earnest (client.md 1.1): the browser asks for it.
    const values = needsLoginLink(addresses) ? formValues(token) : linkValues(accountLink(addresses, token));
    return showInvitation(reply, 200, values);
  }

  const byToken = () => {
    const refusal = newAccounts.refusal();
    return refusal?.kind === 'token' || refusal?.kind === 'closed';
  };

  for (const url of ['/new', '/cgi-bin/newemail.py']) {
    app.post(
      url,
      { schema: { response: { 200: made, 403: refused, 503: refused } } },
      async (request, reply) => {
        const token = tokenOf(request);
        const account = await newAccounts.make({ token, peer: request.socket.remoteAddress });
        if (account.kind === 'busy') reply.header('retry-after', RETRY_AFTER);
        // Web apps may ask, too: what they get is theirs, and no cookie is involved.
        reply.header('access-control-allow-origin', '*').header('cache-control', 'no-store');
        if (account.kind !== 'made')
          return reply.code(statusOf[account.kind]).send({ reason: account.reason });
        const { address, password } = account;
        // At a bare address Delta Chat finds no servers by itself, whatever the certificate.
        const own =
          addresses.isIpv4 || !addresses.certificateIsPublic()
            ? { dclogin_url: loginLink(addresses, address, password) }
            : {};
        return reply.code(200).send({ email: address, password, ...own });
      },
    );
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
    app.get(url, async (request, reply) => {
      const token = tokenOf(request);
      if (byToken()) {
        if (token !== undefined) return invite(token, reply);
        // For now: a redirect for ever would outlive the setting.
        return reply.header('cache-control', 'no-store').redirect('/', 302);
      }
      // Where only dclogin: works, it is on the home page.
      return reply.redirect(needsLoginLink(addresses) ? '/' : accountLink(addresses), 301);
    });
  }

  // Where the button of an invitation leads, and who comes here otherwise goes back to it.
  app.post('/new.html', async (request, reply) => {
    const token = tokenOf(request);
    if (!byToken() || !needsLoginLink(addresses)) return reply.redirect(newAccountUrl('', token), 303);
    const account = await newAccounts.make({ token, peer: request.socket.remoteAddress });
    if (account.kind !== 'made') return showInvitation(reply, statusOf[account.kind], noLink(account.reason));
    const link = loginLink(addresses, account.address, account.password);
    return showInvitation(reply, 200, { ...linkValues(link), made: 'yes' });
  });
  app.get('/new.html', async (request, reply) => reply.redirect(newAccountUrl('', tokenOf(request)), 303));
}

/** `?token=…`; '' where it cannot be read, which is no token. */
function tokenOf(request: FastifyRequest): string | undefined {
  const { token } = request.query as { readonly token?: unknown };
  return token === undefined || typeof token === 'string' ? token : '';
}
