import { once } from 'node:events';
import type { NewAccounts } from '../accounts/new-account.ts';
import type { Addresses } from '../http/addresses.ts';
import { pageRoutes } from '../http/routes/pages.ts';
import { createSite } from '../http/site/site.ts';
import { pageSource } from '../http/site/source.ts';
import { createWebApp } from '../http/web-app.ts';
import { siteOf } from '../relay.ts';
import { kindOfMailDomain } from '../settings/mail-domain.ts';
import { exitCodes, UsageError } from './command.ts';
import type { Call, ExitCode } from './command.ts';

const DEFAULT_PORT = '8080';
/** Seconds between a change and its being seen; no script is needed for it. */
const RELOAD = '2';
/** Of the pages where nobody has set a domain. */
const EXAMPLE_DOMAIN = 'chat.example.org';

/** `teal webdev`: the pages as visitors will see them, while somebody edits them. */
export async function webdev(call: Call): Promise<ExitCode> {
  const stop = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  const { settings } = call.loadSettings();
  const port = portOf(call);
  const host = settings.mail_domain ?? EXAMPLE_DOMAIN;
  const { wwwFolder, facts } = siteOf(settings);
  const { app } = createWebApp({
    domain: host,
    events: { fault: (where, error) => call.printError(`${where}: ${String(error)}`) },
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    if (String(reply.getHeader('content-type')).startsWith('text/html')) reply.header('refresh', RELOAD);
  });
  const addresses: Addresses = {
    host,
    isIpv4: kindOfMailDomain(host) === 'ipv4',
    certificateIsPublic: () => true,
    ports: () => ({ ...settings, https_port: settings.https_port ?? 443 }),
  };
  // A relay would draw one; this only has to look like it.
  const newAccounts: NewAccounts = {
    make: async () => ({ kind: 'made', address: `example23@[${host}]`, password: 'x'.repeat(22) }),
    refusal: () => undefined,
    refusalOf: async () => undefined,
  };
  const source = pageSource(wwwFolder);
  const site = createSite({ addresses, newAccounts, source, facts });
  pageRoutes(app, { addresses, newAccounts, source, site });
  try {
    const url = await app.listen({ host: '127.0.0.1', port });
    call.print(`The pages of ${host}: ${url} (stop with Ctrl-C)`);
    await stop;
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    call.printError(`teal: port ${port} is taken by another program, choose another with --port`);
    return exitCodes.failure;
  } finally {
    await app.close();
  }
}

function portOf(call: Call): number {
  const text = String(call.flags.get('port') ?? DEFAULT_PORT);
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= 65535)) throw new UsageError(`--port takes a port from 0 to 65535, not ${text}`, 'webdev');
  return port;
}
