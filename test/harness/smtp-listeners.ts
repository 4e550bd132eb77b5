import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import type { Login } from '../../src/accounts/login.ts';
import { createAdmission } from '../../src/limits/admission.ts';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import { createRateLimit } from '../../src/limits/rate-limit.ts';
import { accepted } from '../../src/mailflow/verdict.ts';
import type { Envelope, TakeMessage } from '../../src/mailflow/verdict.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createInbound } from '../../src/smtp/inbound.ts';
import type { InboundParts } from '../../src/smtp/inbound.ts';
import type { Listener } from '../../src/smtp/listener.ts';
import { createSubmission } from '../../src/smtp/submission.ts';
import type { SubmissionParts } from '../../src/smtp/submission.ts';
import type { Account, AccountId } from '../../src/store/contract.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import { createTestClock } from './clock.ts';
import type { TestClock } from './clock.ts';
import { selfSigned } from './self-signed.ts';
import { connectSmtp } from './smtp-client.ts';
import type { SmtpClient, SmtpClientOptions } from './smtp-client.ts';

export const DOMAIN = '_teal.test';
export const ALICE = `alice@${DOMAIN}`;
export const BOB = `bob@${DOMAIN}`;
export const PASSWORD = 'correct horse battery';
export const MESSAGE = `From: <${ALICE}>\r\nTo: <${BOB}>\r\nSubject: [...]\r\n\r\nHello\r\n`;

/** An SMTP listener on a free port with fakes around it, and what it did. */
export interface TestListener extends AsyncDisposable {
  readonly listener: Listener;
  readonly port: number;
  readonly clock: TestClock;
  /** What was handed to mailflow, in order; the bytes copied. */
  readonly taken: { readonly envelope: Envelope; readonly message: Buffer }[];
  /** Every log line, parsed. */
  readonly log: Record<string, unknown>[];
  readonly admission: ReturnType<typeof createAdmission>;
  readonly certificate: ReturnType<typeof createCertificate>;
  /** A client past EHLO under TLS, logged in as alice where login is required. */
  connect(options?: Partial<SmtpClientOptions>): Promise<SmtpClient>;
  /** Resolves when no connection holds a place any more. */
  empty(): Promise<void>;
}

export type Overrides = Partial<InboundParts> & Partial<SubmissionParts>;

let pair: ReturnType<typeof selfSigned> | undefined;

async function commonParts(overrides: Overrides) {
  pair ??= selfSigned(DOMAIN);
  const certificate = createCertificate(await pair);
  const clock = createTestClock();
  const log: Record<string, unknown>[] = [];
  const events = createEvents(
    pino(
      { level: 'trace' },
      { write: (line: string) => log.push(JSON.parse(line) as Record<string, unknown>) },
    ),
  );
  const taken: TestListener['taken'] = [];
  const take: TakeMessage = async (envelope, message) => {
    taken.push({ envelope, message: Buffer.from(message) });
    return accepted;
  };
  const admission = createAdmission({ max: 100, maxPerPeer: 100 });
  const parts = {
    host: '127.0.0.1',
    port: 0,
    domain: DOMAIN,
    certificate,
    take,
    admission,
    byteBudget: createByteBudget(64 * 1024 * 1024),
    maxMessageSize: 1024 * 1024,
    events,
    clock,
    random: randomBytes,
    ...overrides,
  };
  return { parts, seen: { clock, log, taken, admission, certificate } };
}

export async function startInbound(overrides: Overrides = {}): Promise<TestListener> {
  const { parts, seen } = await commonParts(overrides);
  const isLocal = (address: string) => address.toLowerCase().endsWith(`@${DOMAIN}`);
  const listener = await createInbound({ isLocal, ...parts });
  return testListener(listener, seen, async (options) => {
    const client = await connectSmtp({ port: listener.port, ...options });
    await client.startTls();
    await client.command('EHLO client.test');
    return client;
  });
}

export async function startSubmission(overrides: Overrides = {}): Promise<TestListener> {
  const { parts, seen } = await commonParts(overrides);
  const { clock } = seen;
  const mode = overrides.mode ?? 'implicit';
  const listener = await createSubmission({
    login: fakeLogin,
    rateLimits: {
      messages: createRateLimit({ perMinute: 60, burst: 10, maxKeys: 100, clock }),
      recipients: createRateLimit({ perMinute: 100, burst: 5000, maxKeys: 100, clock }),
    },
    ...parts,
    mode,
  });
  return testListener(listener, seen, async (options) => {
    const client = await connectSmtp({ port: listener.port, tls: mode === 'implicit', ...options });
    if (mode === 'starttls') {
      await client.startTls();
      await client.command('EHLO client.test');
    }
    const reply = await client.login(ALICE, PASSWORD);
    if (reply.code !== 235) throw new Error(reply.text);
    return client;
  });
}

function testListener(
  listener: Listener,
  seen: Pick<TestListener, 'clock' | 'log' | 'taken' | 'admission' | 'certificate'>,
  connect: (options: Partial<SmtpClientOptions>) => Promise<SmtpClient>,
): TestListener {
  return {
    listener,
    port: listener.port,
    ...seen,
    connect: (options = {}) => connect(options),
    async empty() {
      while (seen.admission.count > 0) await setImmediate();
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Any name at our domain is in with the one password; `busy@` finds the store away. */
export const fakeLogin: Login = async (address, password) => {
  if (address.startsWith('busy@')) return { kind: 'unavailable', reason: 'store away' };
  if (password !== PASSWORD) return { kind: 'refused', reason: 'wrong password' };
  const account: Account = {
    id: '1' as AccountId,
    address: address.toLowerCase(),
    passwordHash: '',
    createdDay: 0,
    lastLoginDay: 0,
    acceptsCleartext: false,
  };
  return { kind: 'ok', account, created: false };
};
