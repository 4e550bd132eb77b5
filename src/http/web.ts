import type { Server } from 'node:http';
import type { Http2Server } from 'node:http2';
import type { NewAccounts } from '../accounts/new-account.ts';
import type { Events } from '../observe/events.ts';
import type { Addresses } from './addresses.ts';
import type { Iroh } from './iroh.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { mxdelivRoutes } from './routes/mxdeliv.ts';
import type { MxdelivParts } from './routes/mxdeliv.ts';
import { newAccountRoutes } from './routes/new-account.ts';
import { pageRoutes } from './routes/pages.ts';
import { createSite } from './site/site.ts';
import { pageSource } from './site/source.ts';
import type { SiteFacts } from './site/values.ts';
import { createWebApp } from './web-app.ts';

export interface WebParts {
  readonly addresses: Addresses;
  readonly newAccounts: NewAccounts;
  readonly events: Pick<Events, 'fault'>;
  /** www_folder; empty for the pages that come with Teal. */
  readonly wwwFolder: string;
  readonly facts: SiteFacts;
  readonly mxdeliv: MxdelivParts;
  /** Undefined where there is no iroh relay behind this one. */
  readonly iroh: Iroh | undefined;
}

/** All that is reached by HTTPS. */
export interface Web extends AsyncDisposable {
  /** Neither listens: they are given connections whose TLS is done. */
  readonly http1: Server;
  readonly http2: Http2Server;
}

export async function createWeb(parts: WebParts): Promise<Web> {
  const { addresses, events, iroh } = parts;
  const { app, http2 } = createWebApp({ domain: addresses.host, events, iroh });
  discoveryRoutes(app, addresses);
  const source = pageSource(parts.wwwFolder);
  const site = createSite({ ...parts, source });
  newAccountRoutes(app, { ...parts, site });
  mxdelivRoutes(app, parts.mxdeliv);
  pageRoutes(app, { ...parts, source, site });
  await app.ready();
  return { http1: app.server, http2, [Symbol.asyncDispose]: () => app.close() };
}
