import type { Settings } from './table.ts';

/**
 * What the settings say taken together. `settings` holds those that could be read, so that these problems are told
 * along with the others. `describe` makes `key = value (where it comes from)`.
 */
export function checkTogether(
  settings: Partial<Settings>,
  describe: (key: keyof Settings) => string,
): { problems: string[]; notes: string[] } {
  const problems: string[] = [];
  const notes: string[] = [];

  const { username_min_length: shortest, username_max_length: longest } = settings;
  if (shortest !== undefined && longest !== undefined && shortest > longest)
    problems.push(
      `no name is long and short enough: ${describe('username_min_length')} is above ${describe('username_max_length')}`,
    );

  // Upstream starts with such a pair, so this is no error.
  const { max_message_size: message, max_mailbox_size: mailbox } = settings;
  if (message !== undefined && mailbox !== undefined && message > mailbox)
    notes.push(
      `the largest messages fit in no mailbox: ${describe('max_message_size')} is above ${describe('max_mailbox_size')}`,
    );

  if (settings.store === 'wildduck') {
    const missing = (['mongodb_url', 'redis_url'] as const).filter(
      // `in`: one that could not be read is told as that.
      (key) => key in settings && settings[key] === undefined,
    );
    problems.push(...missing.map((key) => `${describe('store')} needs ${key}`));
  }

  const { dkim_selector_rsa: rsa, dkim_selector_ed25519: ed25519 } = settings;
  if (rsa !== undefined && rsa === ed25519)
    problems.push(
      `two DKIM keys cannot share a selector: ${describe('dkim_selector_rsa')}, ${describe('dkim_selector_ed25519')}`,
    );

  const taken = new Map<number, keyof Settings>();
  for (const key of portKeys) {
    const port = settings[key];
    if (port === undefined || port === 0) continue;
    const other = taken.get(port);
    if (other) problems.push(`two listeners cannot share a port: ${describe(other)}, ${describe(key)}`);
    else taken.set(port, key);
  }
  return { problems, notes };
}

/** Ports that the world comes to. */
export const publicPortKeys = [
  'smtp_port',
  'submission_port',
  'submissions_port',
  'imap_port',
  'imaps_port',
  'http_port',
  'https_port',
] as const satisfies readonly (keyof Settings)[];

const portKeys = [...publicPortKeys, 'health_port', 'metrics_port'] as const;
