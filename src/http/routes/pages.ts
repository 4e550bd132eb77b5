import type { NewAccounts } from '../../accounts/new-account.ts';
import { accountLink, needsLoginLink } from '../addresses.ts';
import type { Addresses } from '../addresses.ts';
import { strictPolicy } from '../site/policy.ts';
import { lastOf, qrPng } from '../site/qr.ts';
import type { Site } from '../site/site.ts';
import type { PageSource } from '../site/source.ts';
import type { WebApp } from '../web-app.ts';

export interface PageParts {
  readonly addresses: Addresses;
  readonly newAccounts: Pick<NewAccounts, 'refusal'>;
  readonly source: PageSource;
  readonly site: Site;
}

/** Seconds; what an operator changes is seen soon. */
const MAX_AGE = 300;

/** Everything a person looks at: pages made from Markdown, and the files beside them. */
export function pageRoutes(app: WebApp, { addresses, newAccounts, source, site }: PageParts): void {
  const png = lastOf(qrPng);

  app.addHook('onSend', async (_request, reply) => {
    if (source.bundled && !reply.hasHeader('content-security-policy'))
      reply.header('content-security-policy', strictPolicy({ posts: false }));
  });

  app.get(`/qr-chatmail-invite-${addresses.host}.png`, async (_request, reply) => {
    const refusal = newAccounts.refusal();
    // Where nobody may come, or not without a token, the code would lead nowhere.
    if (needsLoginLink(addresses) || (refusal && refusal.kind !== 'busy')) return reply.callNotFound();
    reply.header('cache-control', `max-age=${MAX_AGE}`);
    return reply.type('image/png').send(png(accountLink(addresses)));
  });

  app.get<{ Params: { '*': string } }>('/*', async (request, reply) => {
    const path = request.params['*'] === '' ? 'index.html' : request.params['*'];
    const name = /^([\w-]+)\.html$/.exec(path)?.[1];
    const page = name === undefined ? undefined : await site.page(name);
    if (page) {
      reply.header('cache-control', page.personal ? 'no-store' : `max-age=${MAX_AGE}`);
      return reply.type('text/html; charset=utf-8').send(page.html);
    }
    const [target = ''] = request.url.split('?', 1);
    const inside = `${path.replace(/\/$/, '')}/index.html`;
    const file = await source.file(target.endsWith('/') && path !== 'index.html' ? inside : path);
    if (file) return reply.header('cache-control', `max-age=${MAX_AGE}`).type(file.type).send(file.bytes);
    // As upstream's web server: links in the page are meant from within the folder.
    if (!target.endsWith('/') && (await source.file(inside))) return reply.redirect(`${target}/`, 301);
    // Upstream's name for it, on paper here and there; where there is a page of that name, it was found above.
    if (path === 'policy.html') return reply.redirect('/privacy.html', 301);
    return reply.callNotFound();
  });
}
