import { createServer } from 'node:net';
import { join } from 'node:path';
import { listenOnQuietPort } from './quiet-port.ts';
import { testDomain } from './relay.ts';

/** Ports that nobody had a moment ago, and that others do not get by chance; for relays that come back on the same ones. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(listenOnQuietPort));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * The environment of a relay in a process of its own, with its data below `dir`, that comes back on the same ports after
 * it was killed. It reaches nothing of the world and takes whatever load tests make; `more` goes on top.
 */
export async function relayOnFreePorts(
  dir: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const [smtp, submission, submissions, imap, imaps] = await freePorts(5);
  return {
    MAIL_DOMAIN: testDomain,
    TEAL_DATA_DIR: join(dir, 'data'),
    TEAL_LISTEN_ADDRESS: '127.0.0.1',
    TEAL_SMTP_PORT: String(smtp),
    TEAL_SUBMISSION_PORT: String(submission),
    TEAL_SUBMISSIONS_PORT: String(submissions),
    TEAL_IMAP_PORT: String(imap),
    TEAL_IMAPS_PORT: String(imaps),
    TEAL_DNS_SERVERS: '127.0.0.1:9',
    TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/notify',
    TEAL_MAX_LOAD_1M: '100000',
    TEAL_MAX_USER_SEND_PER_MINUTE: '6000',
    ...more,
  };
}
