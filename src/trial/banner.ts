import { terminalQr } from '../cli/terminal-qr.ts';
import { loginLink } from './memory.ts';
import type { TrialMemory } from './memory.ts';

/** What a trial says when it is ready: that it is one, where it listens, how to log in. */
export function trialBanner(options: {
  readonly memory: TrialMemory;
  readonly host: string;
  readonly dataDir: string;
  /** Reachable from the network: with QR codes for phones. On loopback no phone could follow them. */
  readonly lan: boolean;
}): string {
  const { memory, host, dataDir, lan } = options;
  const { ports } = memory;
  const accounts = memory.accounts.flatMap((account, index) => {
    const link = loginLink(account, host, ports);
    return [`  ${index + 1}. ${account.address}`, `     ${link}`, '', ...(lan ? [terminalQr(link), ''] : [])];
  });
  return [
    '',
    lan
      ? `  TEAL: THIS IS A TRIAL. Whoever reaches ${host} can use it, and no mail leaves it.`
      : '  TEAL: THIS IS A TRIAL. Only this machine can reach it, and no mail leaves it.',
    '',
    `  IMAP        ${host}:${ports.imaps_port} (TLS), ${host}:${ports.imap_port} (STARTTLS)`,
    `  Submission  ${host}:${ports.submissions_port} (TLS), ${host}:${ports.submission_port} (STARTTLS)`,
    `  SMTP        ${host}:${ports.smtp_port} (mail from outside, DKIM-signed)`,
    `  Data        ${dataDir}`,
    '',
    '  Two accounts are ready. In Delta Chat: "Create New Profile", "Use Other Server", "Scan Invitation Code",',
    lan
      ? '  and point the camera at one of these codes:'
      : '  and paste one of these links. (For phones, with QR codes: npm start -- --lan)',
    '',
    ...accounts,
    '  For a real relay set mail_domain (README.md). Stop with Ctrl-C; the next start finds all this again.',
    '',
  ].join('\n');
}
