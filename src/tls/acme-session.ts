import type { Client } from 'acme-client';
import type { AcmeRequest } from './acme-http.ts';

export interface AcmeSession {
  readonly client: Client;
  readonly accountUrl: string;
  /** Names by which CAA records know the authority (RFC 8555 9.7.6). */
  readonly authority: readonly string[];
  /** Where its terms of service are. */
  readonly terms: string | undefined;
  /** The kinds of certificate to choose from (draft-ietf-acme-profiles). */
  readonly profiles: readonly string[];
}

export interface AcmeSessionOptions {
  readonly directoryUrl: string;
  readonly accountKey: string;
  readonly email: string | undefined;
  readonly request: AcmeRequest;
}

/**
 * Says hello to the authority: the account is made, or found and brought up to date. Done before every order: it costs
 * two requests, and an authority that has forgotten us, or another one, is no special case. Rejects with AcmeProblem
 * or AcmeUnreachable.
 */
export async function openAcmeSession(options: AcmeSessionOptions): Promise<AcmeSession> {
  const { directoryUrl, accountKey, email, request } = options;
  // Loaded only here: it takes 200 ms, and most starts have a certificate.
  const { Client } = await import('acme-client');
  const client = new Client({ directoryUrl, accountKey });
  useRequest(client, request);
  const meta = metaOf((await request(directoryUrl, 'get')).data);
  await client.createAccount({
    // Asked of the operator by the setting acme_terms_agreed.
    termsOfServiceAgreed: true,
    contact: email === undefined ? [] : [`mailto:${email}`],
  });
  return { client, accountUrl: client.getAccountUrl(), ...meta };
}

/**
 * Its own way into the network is one axios for the whole process, with retries that nobody can break off and without a
 * place for a trusted root. All of it goes through this one method, which is not in its types; the version is pinned,
 * and every test of ACME goes through here.
 */
function useRequest(client: Client, request: AcmeRequest): void {
  const http: unknown = Reflect.get(client, 'http');
  if (typeof http !== 'object' || http === null || typeof Reflect.get(http, 'request') !== 'function')
    throw new TypeError('acme-client has changed: it has no http.request');
  Reflect.set(http, 'request', request);
}

function metaOf(directory: unknown): Pick<AcmeSession, 'authority' | 'terms' | 'profiles'> {
  const meta = memberOf(directory, 'meta');
  const authority = memberOf(meta, 'caaIdentities');
  const terms = memberOf(meta, 'termsOfService');
  const profiles = memberOf(meta, 'profiles');
  return {
    authority: Array.isArray(authority) ? authority.filter((name) => typeof name === 'string') : [],
    terms: typeof terms === 'string' ? terms : undefined,
    profiles: typeof profiles === 'object' && profiles !== null ? Object.keys(profiles) : [],
  };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
