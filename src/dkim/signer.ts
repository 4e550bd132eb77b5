import { minute } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { parseHeader } from '../message/header.ts';
import { isSigned, signingKeys } from './keys.ts';
import type { KeyValues, Selectors, SigningKey } from './keys.ts';
import { relaxedBodyHash } from './relaxed.ts';
import { signatureField } from './signature-field.ts';
import { signedFields } from './signed-fields.ts';

/** Signs what leaves the relay (RFC 6376). */
export interface Signer {
  /**
   * Names the keys that sign now; a message signed with others is signed anew. '' where nothing signs (the domain is an
   * address literal): then `sign` gives ''.
   */
  keys(): Promise<string>;
  /** The DKIM-Signature fields for a message, each ended by CRLF, to be put before it; at most MAX_SIGNATURE characters. */
  sign(message: Buffer): Promise<string>;
}

export interface BodyInput {
  readonly body: Buffer;
}

/** The task that `pool` runs for this folder, for the module of its workers. */
export const signTasks = { relaxedBodyHash: ({ body }: BodyInput) => relaxedBodyHash(body) };

export interface SignerParts {
  readonly values: KeyValues;
  readonly clock: Clock;
  /** Its module must serve `signTasks`. */
  readonly pool: { run(task: 'relaxedBodyHash', input: BodyInput): Promise<string> };
  /** What stands behind the @ of our addresses. */
  readonly domain: string;
  readonly selectors: Selectors;
}

/** Bytes of a body hashed on the main thread at most: half a millisecond, 3 ms where every word is a letter. */
export const INLINE_BYTES = 256 * 1024;

/** How long keys are used before the store is asked again: a key that is imported takes effect within that time. */
export const KEYS_TIME = minute;

/**
 * Signs with every key of `domain`, RSA first. Both methods reject as the store does while keys are to be read, with
 * UnusableKey, and `sign` with TaskError where a worker was needed. Ask for `keys` before `sign`: where a key changes
 * between, the signature is then made once more, and not kept too long.
 */
export function createSigner({ values, clock, pool, domain, selectors }: SignerParts): Signer {
  let known: { readonly keys: Promise<readonly SigningKey[]>; readonly until: number } | undefined;

  function currentKeys(): Promise<readonly SigningKey[]> {
    if (known !== undefined && clock.now() < known.until) return known.keys;
    const asked = { keys: signingKeys(values, selectors), until: clock.now() + KEYS_TIME };
    known = asked;
    // A failure is not kept: who comes next asks again.
    asked.keys.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked.keys;
  }

  return {
    async keys() {
      if (!isSigned(domain)) return '';
      const keys = await currentKeys();
      return keys.map(({ selector, fingerprint }) => `${selector}=${fingerprint}`).join(' ');
    },
    async sign(message) {
      if (!isSigned(domain)) return '';
      const keys = await currentKeys();
      const header = parseHeader(message);
      const body = message.subarray(header.size);
      const bodyHash =
        body.length > INLINE_BYTES ? await pool.run('relaxedBodyHash', { body }) : relaxedBodyHash(body);
      const fields = signedFields(header);
      const signatures = await Promise.all(
        keys.map(({ type, selector, privateKey }) =>
          signatureField({ algorithm: `${type}-sha256`, domain, selector, bodyHash, fields, privateKey }),
        ),
      );
      return signatures.join('');
    },
  };
}
