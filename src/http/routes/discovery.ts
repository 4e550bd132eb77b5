import { stsPolicy } from '../../dns/sts-policy.ts';
import type { Addresses } from '../addresses.ts';
import { autoconfigXml } from '../autoconfig.ts';
import type { WebApp } from '../web-app.ts';

/** What programs look up: autoconfig at both of its places, MTA-STS, robots.txt. */
export function discoveryRoutes(app: WebApp, addresses: Addresses): void {
  for (const url of ['/mail/config-v1.1.xml', '/.well-known/autoconfig/mail/config-v1.1.xml']) {
    app.get(url, async (_request, reply) =>
      reply.type('text/xml; charset=utf-8').send(autoconfigXml(addresses)),
    );
  }
  app.get('/.well-known/mta-sts.txt', async (_request, reply) => {
    // RFC 8461 4.2: with a certificate that nobody can check, the policy would keep mail away.
    if (!addresses.certificateIsPublic()) return reply.callNotFound();
    return reply.type('text/plain; charset=utf-8').send(stsPolicy(addresses.host));
  });
  app.get('/robots.txt', async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send('User-agent: *\nDisallow: /\n'),
  );
}
