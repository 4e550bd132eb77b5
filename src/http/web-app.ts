import { createServer } from 'node:http';
import { fastify } from 'fastify';
import type { FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression } from 'fastify';
import type { FastifyBaseLogger } from 'fastify';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Http2Server } from 'node:http2';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Events } from '../observe/events.ts';
import type { Iroh } from './iroh.ts';
import { createHttp2Server, MAX_REQUESTS, MAX_WEB_HEADER } from './http2-server.ts';
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

export interface WebAppParts {
  readonly domain: string;
  readonly events: Pick<Events, 'fault'>;
  /** Undefined where there is no iroh relay behind this one. */
  readonly iroh?: Iroh | undefined;
}

/**
 * The web of the relay, without routes. Its servers, `app.server` for HTTP/1.1 and `http2`, never listen: they are given
 * connections whose TLS is done. Every route serves both.
 */
export function createWebApp({ domain, events, iroh }: WebAppParts): {
  readonly app: WebApp;
  readonly http2: Http2Server;
} {
  const http2 = createHttp2Server();
  const isIroh = ({ url = '' }: IncomingMessage) => iroh?.wants(originForm(url)) ?? false;
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY,
    rewriteUrl: (request) => originForm(request.url ?? '/'),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256 },
    serverFactory: (handler) => {
      const serve = (request: IncomingMessage, response: ServerResponse) =>
        isIroh(request) ? iroh?.request(request, response) : handler(request, response);
      const server = createServer(
        { maxHeaderSize: MAX_WEB_HEADER, keepAlive: true, shouldUpgradeCallback: isIroh },
        serve,
      );
      server.on('upgrade', (request, socket, head) => iroh?.upgrade(request, socket, head));
      server.maxRequestsPerSocket = MAX_REQUESTS;
      // Fields beyond a number are left out in silence, recipients among them; their bytes are bounded anyway.
      server.maxHeadersCount = 0;
      // node's compatibility API: to a handler the same but in type.
      http2.on('request', (request, response) =>
        serve(request as unknown as IncomingMessage, response as unknown as ServerResponse),
      );
      return server;
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined));

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    // As upstream: the site has one name.
    // In HTTP/2 `:authority`.
    const asked = request.host.toLowerCase();
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
  return { app, http2 };
}
