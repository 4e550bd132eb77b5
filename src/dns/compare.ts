import { compareCaa } from './compare-caa.ts';
import { compareSpf } from './compare-spf.ts';
import type { SpfContext } from './compare-spf.ts';
import { compareDkim, compareDmarc, compareSts, compareTlsReport } from './compare-tags.ts';
import type { Issuer, WantedRecord } from './records.ts';
import { differs, missing, ok } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import type { RecordData, RecordType } from './zone.ts';

/** What is known beside the records of the name in question. */
export interface CompareContext extends SpfContext {
  readonly issuer: Issuer | undefined;
  /** Where the name of an alias leads in the end. */
  readonly reached: readonly string[];
}

/**
 * Whether the records that DNS has at a name do what `wanted` is for. Equivalent spellings are equal, and so is what an
 * operator has made stricter. For an alias, `have` is its CNAME if it has one, and `reached` decides.
 */
export function compare(wanted: WantedRecord, have: readonly RecordData[], context: CompareContext): Verdict {
  const texts = of(have, 'TXT').map(({ text }) => text);
  const text = wanted.data.type === 'TXT' ? wanted.data.text : '';
  switch (wanted.role) {
    case 'address':
      return compareAddress(wanted, have);
    case 'mail':
      return compareMail(context.domain, of(have, 'MX'));
    case 'spf':
      return compareSpf(texts, context);
    case 'dkim':
      return compareDkim(text, texts);
    case 'dmarc':
      return compareDmarc(texts);
    case 'mta-sts':
      return compareSts(texts);
    case 'tls-report':
      return compareTlsReport(text, texts);
    case 'caa':
      return compareCaa(of(have, 'CAA'), context.issuer ?? { authority: [] });
    case 'alias':
      return compareAlias(context);
    case 'service':
      return compareService(wanted, of(have, 'SRV'));
    case 'reverse':
      return compareReverse(context.domain, of(have, 'PTR'));
  }
}

function of<Type extends RecordType>(records: readonly RecordData[], type: Type) {
  return records.filter((record): record is RecordData & { readonly type: Type } => record.type === type);
}

function compareAddress({ data }: WantedRecord, have: readonly RecordData[]): Verdict {
  const addresses = have.flatMap((one) => (one.type === data.type && 'address' in one ? [one.address] : []));
  if (addresses.length === 0) return missing();
  if (data.type !== 'A' && data.type !== 'AAAA') return ok();
  return addresses.includes(data.address)
    ? ok(...(addresses.length > 1 ? ['there are other addresses beside this one'] : []))
    : {
        ...differs(
          `this machine has ${data.address}; right all the same if a balancer or NAT in front of it has the other`,
        ),
        // That cannot be told from here.
        grade: 'should',
      };
}

/** Certificates, MTA-STS and other relays know the relay by its domain: an MX of another name is not verified. */
function compareMail(domain: string, have: readonly (RecordData & { type: 'MX' })[]): Verdict {
  if (have.length === 0) return missing();
  const ours = have.filter(({ exchange }) => exchange === domain);
  const others = have.filter(({ exchange }) => exchange !== domain);
  const names = [...new Set(others.map(({ exchange }) => exchange || '.'))].join(', ');
  if (ours.length === 0) return differs(`mail goes to ${names}, and the certificate here is for ${domain}`);
  const best = Math.min(...ours.map(({ preference }) => preference));
  if (others.some(({ preference }) => preference < best))
    return differs(`mail goes to ${names} first: give ${domain} the lowest number`);
  return others.length === 0 ? ok() : ok(`there are other servers for mail: ${names}`);
}

function compareAlias({ reached, published, domain }: CompareContext): Verdict {
  if (reached.length === 0) return missing();
  const elsewhere = reached.filter((address) => !published.includes(address));
  return elsewhere.length === 0 ? ok() : differs(`it leads elsewhere than ${domain}`);
}

function compareService({ data }: WantedRecord, have: readonly (RecordData & { type: 'SRV' })[]): Verdict {
  if (data.type !== 'SRV') return ok();
  if (have.length === 0) return missing();
  const fits = have.some(({ port, target }) => port === data.port && target === data.target);
  return fits ? ok() : differs(`it must lead to ${data.target}, port ${data.port}`);
}

/** Names that lead back are looked at by who asked; here, whether there is one and it is ours. */
function compareReverse(domain: string, have: readonly (RecordData & { type: 'PTR' })[]): Verdict {
  if (have.length === 0) return missing();
  return have.some(({ target }) => target === domain)
    ? ok()
    : differs(`some servers refuse mail from an address whose name is not that of the server`);
}
