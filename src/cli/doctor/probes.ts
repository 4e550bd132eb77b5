import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import { second } from '../../clock.ts';
import type { AddressList } from '../../limits/address-list.ts';
import type { Lookup } from '../../dns/lookup.ts';
import type { ValidatingLookup } from '../../dns/validating.ts';
import type { Outgoing } from './network.ts';

/** Any one question to another machine; all go on at the same time. */
export const PROBE_TIMEOUT = 8 * second;

/** Resolves when a connection is there, with the peer's first line where `wantsLine`; rejects with why not, in a word. */
export function tryConnect(host: string, port: number, wantsLine = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let text = '';
    const end = (outcome: () => void) => {
      socket.destroy();
      outcome();
    };
    socket.setTimeout(PROBE_TIMEOUT, () => end(() => reject(new Error('no answer'))));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(() => reject(new Error(error.code ?? 'failed'))),
    );
    socket.once('close', () => end(() => reject(new Error('closed'))));
    if (!wantsLine) socket.once('connect', () => end(() => resolve('')));
    else
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        // RFC 5321 4.5.3.1.5: a line has 512 octets at most.
        if (text.includes('\n') || text.length > 512) end(() => resolve(text.split(/\r?\n/)[0] ?? ''));
      });
  });
}

/**
 * The certificate that a listener with TLS from the first byte shows, and why a stranger would not take it. Where
 * `proxies` has us, too (a proxy runs on this machine), we say what a proxy says for itself.
 */
export function shownCertificate(
  host: string,
  port: number,
  servername: string | undefined,
  proxies: AddressList,
): Promise<{ certificate: X509Certificate; untrusted: string | undefined }> {
  return new Promise((resolve, reject) => {
    const plain = connect({ host, port });
    plain.once('connect', () => {
      if (proxies.has(plain.localAddress ?? '')) plain.write('PROXY UNKNOWN\r\n');
    });
    const socket = connectTls({
      socket: plain,
      rejectUnauthorized: false,
      ...(servername === undefined ? {} : { servername }),
    });
    const fail = (why: string) => {
      socket.destroy();
      plain.destroy();
      reject(new Error(why));
    };
    socket.setTimeout(PROBE_TIMEOUT, () => fail('no answer'));
    for (const one of [plain, socket])
      one.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'failed'));
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      const problem = socket.authorized ? undefined : String(socket.authorizationError);
      socket.destroy();
      if (certificate === undefined) return reject(new Error('no certificate'));
      // Its names are judged by themselves.
      resolve({ certificate, untrusted: problem?.includes('ALTNAME') === true ? undefined : problem });
    });
  });
}

/** Milliseconds by which our clock is ahead of the Date of a web server; undefined where it does not answer. */
export async function clockAhead(url: string, now: () => number): Promise<number | undefined> {
  try {
    const before = now();
    const answer = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(PROBE_TIMEOUT),
    });
    const after = now();
    const date = Date.parse(answer.headers.get('date') ?? '');
    // The header is cut to whole seconds: in the middle of one on average.
    return Number.isNaN(date) ? undefined : (before + after) / 2 - (date + second / 2);
  } catch {
    return undefined;
  }
}

/** Where mail to others goes that many write to; whether they take our mail is another matter. */
const OTHERS = ['gmail.com', 'outlook.com', 'nine.testrun.org'];

/** The best mail server of each, as far as DNS says. */
export async function mailServersOfOthers(lookup: Lookup): Promise<readonly string[]> {
  const found = await Promise.all(
    OTHERS.map(async (domain) => {
      const records = await lookup.ask(domain, 'MX').catch(() => []);
      const servers = records.flatMap((record) => (record.type === 'MX' ? [record] : []));
      servers.sort((a, b) => a.preference - b.preference);
      return servers.slice(0, 1).map(({ exchange }) => exchange);
    }),
  );
  return found.flat();
}

/** A zone that everybody knows and that is signed. */
const SIGNED = 'org';

/** Whether the resolver says that it has checked signatures (AD); undefined where it does not answer. */
export function checksDnssec(lookup: ValidatingLookup): Promise<boolean | undefined> {
  return lookup.ask(SIGNED, 'A', AbortSignal.timeout(PROBE_TIMEOUT)).then(
    ({ authentic }) => authentic,
    () => undefined,
  );
}

/** Whether a mail server greets: a connection alone may be a transparent proxy of the provider. */
export async function tryMailServer(host: string, port: number): Promise<Outgoing> {
  try {
    const line = await tryConnect(host, port, true);
    return { host, problem: line.startsWith('220') ? undefined : `says ${line.slice(0, 80)}` };
  } catch (error) {
    return { host, problem: error instanceof Error ? error.message : 'failed' };
  }
}
