import { generateKeyPairSync } from 'node:crypto';
import { createCertificate } from './certificate.ts';
import type { KeyPair } from './certificate.ts';
import type { SharedValues } from './lease.ts';

/**
 * What the processes of a relay share about their certificate: in the store, so that each finds what another has
 * ordered. The two keys are made once and stay: Delta Chat remembers the certificate's (client.md 1.8), the authority
 * and CAA records know the account's.
 */
export interface AcmeState {
  /** PEM, P-256. */
  readonly accountKey: string;
  /** PEM, P-256, of the certificate. */
  readonly key: string;
  /** The one issued last; undefined where there is none that could be used. It may have expired. */
  certificate(): Promise<KeptCertificate | undefined>;
  keepCertificate(certificate: KeptCertificate): Promise<void>;
  failure(): Promise<Failure | undefined>;
  keepFailure(failure: Failure | undefined): Promise<void>;
  account(): Promise<AcmeAccount | undefined>;
  keepAccount(account: AcmeAccount): Promise<void>;
}

export interface KeptCertificate {
  /** PEM, with its chain. */
  readonly cert: string;
  /** Those that were ordered. */
  readonly names: readonly string[];
  /** URL of the authority's directory. */
  readonly directory: string;
  readonly issuedAt: number;
  /** Names that the authority would not have, and until when they are not asked for again. */
  readonly refusedUntil: Readonly<Record<string, number>>;
}

/** Tries that have failed since the last certificate came. */
export interface Failure {
  readonly attempts: number;
  /** When the first of them, and the last, failed. */
  readonly since: number;
  readonly last: number;
  /** When to try again. */
  readonly next: number;
  /** The authority itself asked not to be bothered before; 0 where it did not. */
  readonly notBefore: number;
}

/** For the zone: `teal dns` puts it into the CAA record (RFC 8657). */
export interface AcmeAccount {
  readonly directory: string;
  readonly url: string;
  /** Names by which CAA records know the authority. */
  readonly authority: readonly string[];
  /** Where the terms are that were agreed to. */
  readonly terms?: string | undefined;
}

/** Reads the state; makes the keys where there are none, the same for every process that starts now. */
export async function openAcmeState(values: SharedValues): Promise<AcmeState> {
  const key = async (name: string) => (await values.get(name)) ?? values.setOnce(name, newKey());
  const accountKey = await key('acme.account-key');
  const certificateKey = await key('acme.certificate-key');
  return {
    accountKey,
    key: certificateKey,
    certificate: async () => {
      const kept = read(await values.get('acme.certificate'), certificateOf);
      return kept !== undefined && isUsable({ key: certificateKey, cert: kept.cert }) ? kept : undefined;
    },
    keepCertificate: (certificate) => values.set('acme.certificate', JSON.stringify(certificate)),
    failure: async () => read(await values.get('acme.failure'), failureOf),
    keepFailure: (failure) => values.set('acme.failure', JSON.stringify(failure ?? null)),
    account: async () => read(await values.get('acme.account'), accountOf),
    keepAccount: (account) => values.set('acme.account', JSON.stringify(account)),
  };
}

/** The account that `directory` knows us by; undefined until the first order. */
export async function readAcmeAccount(
  values: Pick<SharedValues, 'get'>,
  directory: string,
): Promise<AcmeAccount | undefined> {
  const account = read(await values.get('acme.account'), accountOf);
  return account?.directory === directory ? account : undefined;
}

/** The certificate issued last, for who only looks: PEM, with its chain; undefined where there is none. */
export async function readAcmeCertificate(values: Pick<SharedValues, 'get'>): Promise<string | undefined> {
  return read(await values.get('acme.certificate'), certificateOf)?.cert;
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return privateKey;
}

/** What another version has written in another form counts as nothing: it is made anew. */
function read<Value>(
  text: string | undefined,
  as: (value: Readonly<Record<string, unknown>>) => Value | undefined,
): Value | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? as({ ...value }) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a TLS server could use it. */
export function isUsable(pair: KeyPair): boolean {
  try {
    createCertificate(pair);
    return true;
  } catch {
    return false;
  }
}

type Written = Readonly<Record<string, unknown>>;

function certificateOf({
  cert,
  names,
  directory,
  issuedAt,
  refusedUntil,
}: Written): KeptCertificate | undefined {
  if (typeof cert !== 'string' || typeof directory !== 'string' || typeof issuedAt !== 'number')
    return undefined;
  if (!isTexts(names) || typeof refusedUntil !== 'object' || refusedUntil === null) return undefined;
  const until = Object.entries(refusedUntil).filter(
    (one): one is [string, number] => typeof one[1] === 'number',
  );
  return { cert, names, directory, issuedAt, refusedUntil: Object.fromEntries(until) };
}

function failureOf(written: Written): Failure | undefined {
  const { attempts, since, last, next, notBefore } = written;
  if (typeof attempts !== 'number' || typeof since !== 'number' || typeof last !== 'number') return undefined;
  if (typeof next !== 'number' || typeof notBefore !== 'number') return undefined;
  return { attempts, since, last, next, notBefore };
}

function accountOf({ directory, url, authority, terms }: Written): AcmeAccount | undefined {
  if (typeof directory !== 'string' || typeof url !== 'string' || !isTexts(authority)) return undefined;
  return { directory, url, authority, ...(typeof terms === 'string' ? { terms } : {}) };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
