import { isIP } from 'node:net';
import type { Clock, Random } from '../clock.ts';
import type { Events } from '../observe/events.ts';
import { findOtherNames } from './acme-names.ts';
import { openAcme } from './acme.ts';
import { createCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import type { Challenges } from './challenges.ts';
import { readKeyPair } from './files.ts';
import { followFiles } from './follow-files.ts';
import type { SharedValues } from './lease.ts';
import { keepSelfSigned } from './self-signed.ts';
import { certificateSource } from './source.ts';

export interface CertificateOptions {
  readonly mailDomain: string;
  /** tls_external_cert_and_key */
  readonly files: { readonly cert: string; readonly key: string } | undefined;
  /** Where the self-signed certificate is kept, and the names in it. */
  readonly selfSigned: { readonly directory: string; readonly names: readonly string[] };
  readonly acme: {
    readonly directoryUrl: string;
    readonly termsAgreed: boolean;
    readonly email: string | undefined;
    readonly trustedCa: string | undefined;
    /** Rejects with DnsMissing or DnsTrouble. */
    readonly addressesOf: (name: string) => Promise<readonly string[]>;
    /** Of this machine's interfaces. */
    readonly ownAddresses: () => readonly string[];
  };
  readonly values: SharedValues;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
}

/** The relay's certificate, kept fresh from its source until this is disposed of. */
export interface CertificateSupply extends AsyncDisposable {
  readonly certificate: Certificate;
  readonly challenges: Challenges;
  /** The last try to have a newer one failed, or the operator's files cannot be used; the certificate serves on. */
  readonly failing: boolean;
  /** To be called once, when the listeners answer challenges. */
  start(): void;
}

/**
 * A certificate to serve with at once: the operator's, the one that an authority issued last, or one signed by
 * ourselves until it issues one. Rejects with BadCertificateFile where the operator's cannot be used.
 */
export async function openCertificate(options: CertificateOptions): Promise<CertificateSupply> {
  const { mailDomain, clock, events, values, random } = options;
  const source = certificateSource({ ...options, termsAgreed: options.acme.termsAgreed });
  const selfSigned = () => keepSelfSigned({ ...options.selfSigned, clock });

  switch (source.kind) {
    case 'files': {
      const { cert, key } = source;
      const names = [mailDomain];
      const checks = { now: clock.now(), names, warn: events.certificateDoubtful };
      const certificate = createCertificate(await readKeyPair(cert, key, checks));
      const following = followFiles({ cert, key, names, certificate, clock, events });
      return {
        ...supplied(certificate),
        get failing() {
          return following.failing;
        },
        [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
      };
    }
    case 'acme': {
      const { directoryUrl, email, trustedCa, addressesOf, ownAddresses } = options.acme;
      const otherNames = async () =>
        isIP(mailDomain) ? { here: [], unsure: [] } : findOtherNames(mailDomain, addressesOf, ownAddresses());
      const acme = await openAcme({
        values,
        directoryUrl,
        email,
        trustedCa,
        domain: mailDomain,
        otherNames,
        clock,
        random,
        events,
      });
      const certificate = createCertificate(acme.kept ?? (await selfSigned()));
      return {
        certificate,
        challenges: acme.challenges,
        get failing() {
          return acme.failing;
        },
        start: () => acme.start(certificate),
        [Symbol.asyncDispose]: () => acme[Symbol.asyncDispose](),
      };
    }
    case 'self-signed':
      events.certificateSelfSigned(source.why);
      return supplied(createCertificate(await selfSigned()));
  }
}

/** No authority knocks. */
function supplied(certificate: Certificate): CertificateSupply {
  return {
    certificate,
    challenges: { http: () => undefined, alpn: () => Promise.resolve(undefined) },
    failing: false,
    start: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
