import type { Server } from 'node:http';
import type { NewAccounts } from '../accounts/new-account.ts';
import type { Events } from '../observe/events.ts';
import type { Addresses } from './addresses.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { newAccountRoutes } from './routes/new-account.ts';
import { pageRoutes } from './routes/pages.ts';
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
}

/** All that is reached by HTTPS. */
export interface Web extends AsyncDisposable {
  /** Never listens: is given connections whose TLS is done. */
  readonly server: Server;
}

export async function createWeb(parts: WebParts): Promise<Web> {
  const { addresses, events } = parts;
  const app = createWebApp({ domain: addresses.host, events });
  discoveryRoutes(app, addresses);
  newAccountRoutes(app, parts);
  pageRoutes(app, { ...parts, source: pageSource(parts.wwwFolder) });
  await app.ready();
  return { server: app.server, [Symbol.asyncDispose]: () => app.close() };
}
