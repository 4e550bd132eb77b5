import { readdirSync, readFileSync } from 'node:fs';
import { createDkimCheck, verifyTasks } from '../../src/authenticity/check.ts';
import type { DkimFacts } from '../../src/authenticity/facts.ts';
import { dkimRecords } from '../../src/dkim/keys.ts';
import type { DkimRecord } from '../../src/dkim/record.ts';
import { createSigner, signTasks } from '../../src/dkim/signer.ts';
import type { Signer, SignerParts } from '../../src/dkim/signer.ts';
import { DnsMissing } from '../../src/dns/resolver.ts';
import { createTestClock } from './clock.ts';
import type { TestClock } from './clock.ts';
import { createMemoryValues } from './memory-values.ts';

export const SIGNING_DOMAIN = 'example.org';
export const SELECTORS = { rsa: 'opendkim', ed25519: 'ed25519' };

export interface TestSigner {
  readonly signer: Signer;
  readonly values: ReturnType<typeof createMemoryValues>;
  readonly clock: TestClock;
  /** Bodies that went to a worker. */
  readonly sentToPool: readonly number[];
  /** What DNS must say, for the verifiers. */
  readonly records: readonly DkimRecord[];
  /** The message with the signatures on top. */
  sign(message: Buffer): Promise<Buffer>;
  /** What our own port 25 makes of it. */
  check(signed: Buffer): Promise<DkimFacts>;
}

/** A signer over values in memory, its keys made. */
export async function createTestSigner(parts: Partial<SignerParts> = {}): Promise<TestSigner> {
  const values = createMemoryValues();
  const clock = createTestClock();
  const sentToPool: number[] = [];
  const domain = parts.domain ?? SIGNING_DOMAIN;
  const selectors = parts.selectors ?? SELECTORS;
  const signer = createSigner({
    values,
    clock,
    pool: {
      run: async (_, input) => {
        sentToPool.push(input.body.length);
        return signTasks.relaxedBodyHash(input);
      },
    },
    domain,
    selectors,
    ...parts,
  });
  const records = await dkimRecords(parts.values ?? values, domain, selectors);
  const check = createDkimCheck({
    clock,
    resolver: {
      txt: async (name) => {
        const found = records.find((record) => record.name === name);
        if (!found) throw new DnsMissing(name);
        return [[found.value]];
      },
    },
    pool: { run: (_, input) => verifyTasks.verifySignatures(input) },
  });
  return {
    signer,
    values,
    clock,
    sentToPool,
    records,
    sign: async (message) => Buffer.concat([Buffer.from(await signer.sign(message), 'latin1'), message]),
    check,
  };
}

const mail = new URL('../data/delta-chat-mail/', import.meta.url);

/** Mail that real Delta Chat clients have sent, with its author moved to `domain`. */
export function deltaChatMail(
  domain = SIGNING_DOMAIN,
): { readonly name: string; readonly message: Buffer }[] {
  return readdirSync(mail)
    .filter((name) => name.endsWith('.eml'))
    .map((name) => {
      const text = readFileSync(new URL(name, mail), 'latin1').replace(/\r?\n/g, '\r\n');
      return {
        name,
        message: Buffer.from(text.replace(/^(From:[^\r\n]*@)[^>\s]+/im, `$1${domain}`), 'latin1'),
      };
    });
}
