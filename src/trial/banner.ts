import { renderUnicodeCompact } from 'uqr';
import { loginLink } from './memory.ts';
import type { TrialMemory } from './memory.ts';

/** What a trial says when it is ready: that it is one, where it listens, how to log in. */
export function trialBanner(options: {
  readonly memory: TrialMemory;
  readonly host: string;
  readonly dataDir: string;
  /** QR codes for the cameras of phones; on loopback no phone could follow them. */
  readonly qr: boolean;
}): string {
  const { memory, host, dataDir, qr } = options;
  const { ports } = memory;
  const links = memory.accounts.flatMap((account, index) => {
    const link = loginLink(account, host, ports);
    return [
      `  ${index + 1}. ${account.address}`,
      `     ${link}`,
      ...(qr ? ['', renderUnicodeCompact(link)] : []),
      '',
    ];
  });
  return [
    '',
    '  TEAL: THIS IS A TRIAL. Nobody outside can reach it or be reached from it.',
    '',
    `  IMAP        ${host}:${ports.imaps_port} (TLS), ${host}:${ports.imap_port} (STARTTLS)`,
    `  Submission  ${host}:${ports.submissions_port} (TLS), ${host}:${ports.submission_port} (STARTTLS)`,
    `  SMTP        ${host}:${ports.smtp_port} (mail from outside, DKIM-signed)`,
    `  Data        ${dataDir}`,
    '',
    '  Two accounts are ready. In Delta Chat choose "I already have a profile", then "Scan QR code"',
    qr
      ? '  and point the camera at one of these (the phone must be in the same network):'
      : '  and paste a link from the clipboard (start with "npm start -- --lan" for phones and QR codes):',
    '',
    ...links,
    '  For a real relay set mail_domain (docs/README.md). Stop with Ctrl-C; the next start finds all this again.',
    '',
  ].join('\n');
}
