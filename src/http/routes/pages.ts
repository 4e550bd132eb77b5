import type { FastifyReply } from 'fastify';
import type { NewAccounts } from '../../accounts/new-account.ts';
import { accountLink, needsLoginLink } from '../addresses.ts';
import type { Addresses } from '../addresses.ts';
import { renderPage } from '../site/page.ts';
import { lastOf, qrPng } from '../site/qr.ts';
import type { PageSource } from '../site/source.ts';
import { commonValues, createInvitation, invites } from '../site/values.ts';
import type { SiteFacts } from '../site/values.ts';
import type { WebApp } from '../web-app.ts';

export interface PageParts {
  readonly addresses: Addresses;
  readonly newAccounts: NewAccounts;
  readonly source: PageSource;
  readonly facts: SiteFacts;
}

/** Ours need nothing but their style; no script could run even if one got in. */
const STRICT =
  "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** Seconds; what an operator changes is seen soon. */
const MAX_AGE = 300;

/** Everything a person looks at: pages made from Markdown, and the files beside them. */
export function pageRoutes(app: WebApp, { addresses, newAccounts, source, facts }: PageParts): void {
  const invitation = createInvitation(addresses, newAccounts);
  const png = lastOf(qrPng);

  async function page(name: string, reply: FastifyReply): Promise<string | undefined> {
    const markdown = await source.markdown(name);
    if (markdown === undefined) return undefined;
    const { values, personal } = invites(markdown) ? await invitation() : { values: {}, personal: false };
    const html = renderPage(name, markdown, addresses.host, {
      ...commonValues(addresses, facts),
      ...values,
    });
    reply.type('text/html; charset=utf-8');
    reply.header('cache-control', personal ? 'no-store' : `max-age=${MAX_AGE}`);
    return html;
  }

  app.addHook('onSend', async (_request, reply) => {
    if (source.bundled) reply.header('content-security-policy', STRICT);
  });

  app.get(`/qr-chatmail-invite-${addresses.host}.png`, async (_request, reply) => {
    if (needsLoginLink(addresses)) return reply.callNotFound();
    reply.header('cache-control', `max-age=${MAX_AGE}`);
    return reply.type('image/png').send(png(accountLink(addresses)));
  });

  app.get<{ Params: { '*': string } }>('/*', async (request, reply) => {
    const path = request.params['*'] === '' ? 'index.html' : request.params['*'];
    const name = /^([\w-]+)\.html$/.exec(path)?.[1];
    const html = name === undefined ? undefined : await page(name, reply);
    if (html !== undefined) return reply.send(html);
    const file = await source.file(path);
    if (file) return reply.header('cache-control', `max-age=${MAX_AGE}`).type(file.type).send(file.bytes);
    // Upstream's name for it, on paper here and there; where there is a page of that name, it was found above.
    if (path === 'policy.html') return reply.redirect('/privacy.html', 301);
    return reply.callNotFound();
  });
}
