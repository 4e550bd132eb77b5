import type { Addresses } from '../addresses.ts';
import { autoconfigXml } from '../autoconfig.ts';
import type { WebApp } from '../web-app.ts';

/** Upstream's: 28 days. */
const STS_MAX_AGE = 2_419_200;

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
    // RFC 8461 3.2.
    const lines = ['version: STSv1', 'mode: enforce', `mx: ${addresses.host}`, `max_age: ${STS_MAX_AGE}`];
    return reply.type('text/plain; charset=utf-8').send(`${lines.join('\r\n')}\r\n`);
  });
  app.get('/robots.txt', async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send('User-agent: *\nDisallow: /\n'),
  );
}
