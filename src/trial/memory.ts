import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Random } from '../clock.ts';
import { likedPorts } from './ports.ts';
import type { TrialPorts } from './ports.ts';

/** The domain of every trial. Delta Chat takes a self-signed certificate for names that start with `_` (client.md 1.8). */
export const trialDomain = '_teal.test';

export interface TrialAccount {
  readonly address: string;
  readonly password: string;
}

/** What a trial keeps from start to start, so that the links it gave out stay good. */
export interface TrialMemory {
  readonly ports: TrialPorts;
  readonly accounts: readonly TrialAccount[];
}

/** undefined at the first start. Throws where the file is there but cannot be read. */
export async function recallTrial(path: string): Promise<TrialMemory | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const memory = parseMemory(text);
  if (memory === undefined) {
    throw new Error(`${path} is damaged; delete it to let the trial choose ports and accounts again`);
  }
  return memory;
}

/** undefined where `text` is not what rememberTrial writes. */
function parseMemory(text: string): TrialMemory | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { ports, accounts } = (content ?? {}) as { readonly [key in keyof TrialMemory]?: unknown };
  const fits =
    isRecord(ports) &&
    Object.keys(likedPorts).every((name) => Number.isInteger(ports[name])) &&
    Array.isArray(accounts) &&
    accounts.length === 2 &&
    accounts.every(
      (one) => isRecord(one) && typeof one['address'] === 'string' && typeof one['password'] === 'string',
    );
  return fits ? (content as TrialMemory) : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

export async function rememberTrial(path: string, memory: TrialMemory): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, `${JSON.stringify(memory, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Letters and digits that nobody takes for one another. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';

/** An account as a Delta Chat client would invent it: 9 characters, a password of 22 (client.md 1.1). */
export function inventAccount(random: Random): TrialAccount {
  const text = (length: number) =>
    [...random(length)].map((byte) => alphabet[byte % alphabet.length] ?? '').join('');
  return { address: `${text(9)}@${trialDomain}`, password: text(22) };
}

/** The link that a client scans or opens; `ic=3` takes the trial's self-signed certificate (client.md 1.2). */
export function loginLink(account: TrialAccount, host: string, ports: TrialPorts): string {
  const settings = {
    p: account.password,
    v: '1',
    ih: host,
    ip: String(ports.imaps_port),
    is: 'ssl',
    sh: host,
    sp: String(ports.submissions_port),
    ss: 'ssl',
    ic: '3',
  };
  const query = Object.entries(settings).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  return `dclogin:${account.address}?${query.join('&')}`;
}
