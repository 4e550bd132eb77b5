import type { Addresses } from './addresses.ts';

/**
 * The autoconfig file (client.md 1.4), in upstream's order: Delta Chat takes hosts and ports from it exactly, and shows
 * the error of the first candidate. 443 comes last, for networks that let nothing else through.
 */
export function autoconfigXml({ host, ports }: Addresses): string {
  const { imaps_port, imap_port, submissions_port, submission_port, https_port } = ports();
  const server = (tag: 'incoming' | 'outgoing', type: string, port: number, security: string) =>
    [
      `    <${tag}Server type="${type}">`,
      `      <hostname>${host}</hostname>`,
      `      <port>${port}</port>`,
      `      <socketType>${security}</socketType>`,
      '      <authentication>password-cleartext</authentication>',
      '      <username>%EMAILADDRESS%</username>',
      `    </${tag}Server>`,
    ].join('\n');
  // Every host name and address is of letters, digits, dots, dashes and underscores: nothing to escape.
  return `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="${host}">
    <domain>${host}</domain>
    <displayName>${host} chatmail</displayName>
    <displayShortName>${host}</displayShortName>
${server('incoming', 'imap', imaps_port, 'SSL')}
${server('incoming', 'imap', imap_port, 'STARTTLS')}
${server('incoming', 'imap', https_port, 'SSL')}
${server('outgoing', 'smtp', submissions_port, 'SSL')}
${server('outgoing', 'smtp', submission_port, 'STARTTLS')}
${server('outgoing', 'smtp', https_port, 'SSL')}
  </emailProvider>
</clientConfig>
`;
}
