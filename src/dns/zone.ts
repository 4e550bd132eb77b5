/** What a name server says of a name, as far as a relay needs it. Names are lower case, without a dot at the end. */
export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME' | 'NS' | 'PTR'; readonly target: string }
  | { readonly type: 'MX'; readonly preference: number; readonly exchange: string }
  /** The strings of the record joined, as every reader of SPF, DKIM and their like joins them. */
  | { readonly type: 'TXT'; readonly text: string }
  | { readonly type: 'CAA'; readonly flags: number; readonly tag: string; readonly value: string }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    };

export type RecordType = RecordData['type'];

/**
 * must: without it mail does not get through. should: some servers or apps do worse without it, or others can do harm
 * that it would keep off. nice: an ease for people.
 */
export type Grade = 'must' | 'should' | 'nice';
export const grades: readonly Grade[] = ['must', 'should', 'nice'];

/** As upstream: a mistake is mended within the hour. */
export const TTL = 3600;

/** RFC 1035 3.3: a character-string holds so many bytes. */
const MAX_STRING = 255;

/** `Chat.Example.ORG.` → `chat.example.org`: names are the same in any case, with or without the dot at the end. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** The data of a record as a zone file has it (RFC 1035 5.1). */
export function dataText(data: RecordData): string {
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return data.address;
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return `${data.target}.`;
    case 'MX':
      return `${data.preference} ${data.exchange}.`;
    case 'TXT':
      return stringsOf(data.text).map(quoted).join(' ');
    case 'CAA':
      return `${data.flags} ${data.tag} ${quoted(data.value)}`;
    case 'SRV':
      return `${data.priority} ${data.weight} ${data.port} ${data.target}.`;
  }
}

/** The same for a form of a DNS provider, which quotes and splits text by itself. */
export function formText(data: RecordData): string {
  return data.type === 'TXT' ? data.text : dataText(data);
}

/** A line of a zone file, the name in full. */
export function zoneLine(name: string, data: RecordData): string {
  return `${name}. ${TTL} IN ${data.type} ${dataText(data)}`;
}

/** `_dmarc.chat.example.org` in the zone `example.org` is `_dmarc.chat`; the zone itself is `@`. */
export function relativeName(name: string, zone: string): string {
  if (name === zone) return '@';
  return name.endsWith(`.${zone}`) ? name.slice(0, -zone.length - 1) : `${name}.`;
}

/** The name itself and those above it, up to two labels: a top level domain is nobody's who runs a relay. */
export function namesUpwards(name: string): string[] {
  const labels = name.split('.');
  return labels.slice(0, -1).map((_, place) => labels.slice(place).join('.'));
}

/** A text cut into strings that fit; the text is ASCII. */
function stringsOf(text: string): readonly string[] {
  return text.match(new RegExp(`.{1,${MAX_STRING}}`, 'gs')) ?? [''];
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
