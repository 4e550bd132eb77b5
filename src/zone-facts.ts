import { dkimRecords } from './dkim/keys.ts';
import { issuerOf } from './dns/records.ts';
import type { ZoneFacts } from './dns/records.ts';
import { addressDomain, kindOfMailDomain } from './settings/mail-domain.ts';
import type { Settings } from './settings/table.ts';
import type { Values } from './store/contract.ts';
import { readAcmeAccount } from './tls/acme-state.ts';
import { certificateSource } from './tls/source.ts';

/**
 * What the relay of these settings needs in its zone, but for its addresses. Makes the DKIM keys where there are none,
 * so that a zone can be written before the first start. Undefined for a bare address, which has no zone.
 */
export async function readZoneFacts(
  settings: Settings,
  values: Values,
): Promise<Omit<ZoneFacts, 'addresses'> | undefined> {
  const { mail_domain: mailDomain } = settings;
  if (mailDomain === undefined || kindOfMailDomain(mailDomain) === 'ipv4') return undefined;
  const selectors = { rsa: settings.dkim_selector_rsa, ed25519: settings.dkim_selector_ed25519 };
  const dkim = await dkimRecords(values, addressDomain(mailDomain), selectors);
  const source = certificateSource({
    mailDomain,
    files: settings.tls_external_cert_and_key,
    termsAgreed: settings.acme_terms_agreed,
  });
  const account = source.kind === 'acme' ? await readAcmeAccount(values, settings.acme_directory) : undefined;
  const issuer =
    account !== undefined && account.authority.length > 0
      ? { authority: account.authority, accountUrl: account.url }
      : issuerOf(settings.acme_directory);
  return {
    domain: mailDomain,
    ports: settings,
    dkim,
    // Whoever issues the files of tls_external_cert_and_key, we do not know.
    issuer: source.kind === 'acme' ? issuer : undefined,
    certificateIsPublic: source.kind !== 'self-signed',
    tlsReportAddress: settings.tls_report_address === '' ? undefined : settings.tls_report_address,
  };
}
