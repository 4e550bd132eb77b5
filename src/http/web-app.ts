import { createServer } from 'node:http';
import { fastify } from 'fastify';
import type { FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression } from 'fastify';
import type { FastifyBaseLogger } from 'fastify';
import type { Server } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Events } from '../observe/events.ts';
import { MAX_HEADER } from './http-listener.ts';
import { originForm } from './request-target.ts';

/** What routes are added to. */
export type WebApp = FastifyInstance<
  Server,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** No route takes a body; what an HTML form or a fetch() sends by itself is below this and is dropped. */
const MAX_BODY = 4096;
/** Of one connection; then it may come back, and others get their turn. */
const MAX_REQUESTS = 100;

/** The web of the relay, without routes. Its server never listens: it is given connections whose TLS is done. */
export function createWebApp({ domain, events }: { domain: string; events: Pick<Events, 'fault'> }): WebApp {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY,
    rewriteUrl: (request) => originForm(request.url ?? '/'),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256 },
    serverFactory: (handler) => {
      const server = createServer({ maxHeaderSize: MAX_HEADER, keepAlive: true }, (request, response) =>
        handler(request, response),
      );
      server.maxRequestsPerSocket = MAX_REQUESTS;
      return server;
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined));

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    // As upstream: the site has one name.
    const asked = request.headers.host?.toLowerCase() ?? '';
    if (asked.replace(/:\d*$/, '') === `www.${domain}` && request.method === 'GET') {
      const port = /:\d+$/.exec(asked)?.[0] ?? '';
      return reply.redirect(`https://${domain}${port}${request.url}`, 301);
    }
    return undefined;
  });
  app.setNotFoundHandler(async (_request, reply) =>
    reply.code(404).type('text/plain; charset=utf-8').send('Not found\n'),
  );
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) events.fault('web', error);
    const reason = status >= 500 ? 'The relay has a fault, try again later.' : error.message;
    return reply.code(status).send({ reason });
  });
  return app;
}
