import { createDial } from '../../src/outbound/dialler.ts';
import type { Dial, Dialler } from '../../src/outbound/dialler.ts';
import { createTlsPolicy } from '../../src/outbound/tls-policy.ts';
import type { TlsPolicy } from '../../src/outbound/tls-policy.ts';
import { systemClock } from '../../src/machine.ts';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { createScriptedMxdeliv } from './scripted-mxdeliv.ts';
import type { ScriptedMxdeliv } from './scripted-mxdeliv.ts';
import { createScriptedSmtp } from './scripted-smtp.ts';
import type { ScriptedSmtp, SmtpScript } from './scripted-smtp.ts';
import { issue, selfSigned } from './self-signed.ts';

/** Mail hosts by name, with certificates of one authority, and what leads there. */
export interface ScriptedHosts extends AsyncDisposable {
  /** Signs the certificates; nobody else knows it. */
  readonly authority: KeyPair;
  /** A mail server at port 25 of `host`, with a certificate for that name. */
  smtp(host: string, script?: SmtpScript): Promise<ScriptedSmtp>;
  /** A web server at port 443 of `host`. */
  mxdeliv(host: string, answer?: ScriptedMxdeliv['answer']): Promise<ScriptedMxdeliv>;
  /** `expired`, for `another` name, by an authority that nobody knows (`unknown`), or `good`. */
  certificate(host: string, kind: CertificateKind): Promise<KeyPair>;
  /** Finds them; at ports where there is none nobody listens. */
  readonly dialler: Dialler;
  readonly dial: Dial;
  /** Knows the authority. */
  readonly tlsFor: TlsPolicy;
  /** Where a port of a host is said to be; what a test puts here counts. */
  readonly places: Map<string, number>;
}

export type CertificateKind = 'good' | 'expired' | 'another' | 'unknown';

/** A port of loopback where nobody ever listens. */
const NOWHERE = 9;
const HOUR = 3_600_000;

export async function createScriptedHosts(): Promise<ScriptedHosts> {
  const all = new AsyncDisposableStack();
  const authority = await issue('authority.test', undefined, { ca: true });
  const places = new Map<string, number>();
  const dialler: Dialler = (host, port) => ({
    host: '127.0.0.1',
    port: places.get(`${host}:${port}`) ?? NOWHERE,
  });
  return {
    authority,
    places,
    dialler,
    dial: createDial({
      dialler,
      resolver: { addresses: () => Promise.reject(new Error('no name is to be looked up')) },
      clock: systemClock,
    }),
    tlsFor: createTlsPolicy({ unverifiedDomains: [], trustedCa: authority.cert }),
    async smtp(host, script) {
      const server = all.use(await createScriptedSmtp(await issue(host, authority), script));
      places.set(`${host}:25`, server.port);
      return server;
    },
    async mxdeliv(host, answer) {
      const server = all.use(await createScriptedMxdeliv(await issue(host, authority), answer));
      places.set(`${host}:443`, server.port);
      return server;
    },
    certificate(host, kind) {
      if (kind === 'unknown') return selfSigned(host);
      if (kind === 'another') return issue(`not-${host}`, authority);
      return issue(host, authority, kind === 'expired' ? { notAfter: Date.now() - HOUR } : {});
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
