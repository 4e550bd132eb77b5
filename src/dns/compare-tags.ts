import { differs, missing, ok } from './verdict.ts';
import type { Verdict } from './verdict.ts';

/** `v=DMARC1; p=reject` as a map; names in lower case, values without white space around. Undefined where it is none. */
export function readTags(text: string): ReadonlyMap<string, string> | undefined {
  const parts = text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const tags = new Map<string, string>();
  for (const part of parts) {
    const [, name, value = ''] = /^([a-z][a-z0-9_]*)\s*=\s*(.*)$/is.exec(part) ?? [];
    // A tag that is there twice makes the record void (RFC 6376 3.2).
    if (name === undefined || tags.has(name.toLowerCase())) return undefined;
    tags.set(name.toLowerCase(), value);
  }
  return tags;
}

/** Records of a kind among the TXT records of a name, which may have others for other ends; version in any case. */
function ofVersion(texts: readonly string[], version: string): readonly string[] {
  const pattern = new RegExp(`^\\s*v\\s*=\\s*${version}\\s*(;|$)`, 'i');
  return texts.filter((text) => pattern.test(text));
}

/** Some forms of providers keep what was typed around the text; then the quotes are part of the record. */
const QUOTES = 'the text has quotation marks in it: type it without them, in one piece';

/** RFC 6376 3.6.1, as verifiers read it: order, white space and what is not given but the default make no difference. */
export function compareDkim(wanted: string, have: readonly string[]): Verdict {
  const want = readTags(wanted);
  const keys = have.filter((text) => /(^|;|")\s*p\s*=/i.test(text));
  const verdicts = keys.map((text) => judgeKey(want, text));
  const [first] = verdicts;
  if (first === undefined) return missing();
  if (!verdicts.some(({ state }) => state === 'ok')) return first;
  // RFC 6376 3.6.2.2: which of several a verifier takes is up to it.
  const others = new Set(keys.filter((_, place) => verdicts[place]?.state !== 'ok'));
  return others.size > 0 ? differs('there is another key beside ours at this name: remove it') : first;
}

function judgeKey(want: ReadonlyMap<string, string> | undefined, text: string): Verdict {
  if (text.includes('"')) return differs(QUOTES);
  const tags = readTags(text);
  if (tags === undefined) return differs('the text cannot be read as tags (name=value; name=value)');
  const key = (from: ReadonlyMap<string, string> | undefined) => from?.get('p')?.replace(/\s/g, '');
  const version = tags.get('v');
  if (version !== undefined && (version !== 'DKIM1' || !/^\s*v\s*=/i.test(text)))
    return differs('v=DKIM1 must come first, in capitals');
  if (key(tags) === '') return differs('the key is revoked (p= is empty)');
  if (key(tags) !== key(want)) {
    return differs(
      key(want)?.startsWith(key(tags) ?? '') === true
        ? 'the key is cut off: enter the whole text'
        : 'this is another key',
    );
  }
  if ((tags.get('k') ?? 'rsa').toLowerCase() !== (want?.get('k') ?? 'rsa'))
    return differs(`k= must be ${want?.get('k') ?? 'rsa'}`);
  const listed = (tag: string, whole: string) => (tags.get(tag) ?? whole).toLowerCase().split(/\s*:\s*/);
  const services = listed('s', '*');
  if (!services.includes('*') && !services.includes('email')) return differs('s= leaves out email');
  if (tags.has('h') && !listed('h', '').includes('sha256')) return differs('h= leaves out sha256');
  return listed('t', '').includes('y') ? ok('t=y: others treat the key as on trial') : ok();
}

/** RFC 7489 6.3; only a policy weaker than the wanted one is worth a word. */
export function compareDmarc(have: readonly string[]): Verdict {
  const policies = ofVersion(have, 'DMARC1');
  const [text] = policies;
  if (text === undefined)
    return have.some((one) => one.includes('"') && /v\s*=\s*DMARC1/i.test(one)) ? differs(QUOTES) : missing();
  // RFC 7489 6.6.3: several are as none.
  if (policies.length > 1) return differs('there are several DMARC records, so that none counts: keep one');
  const tags = readTags(text);
  if (tags === undefined) return differs('the text cannot be read as tags (name=value; name=value)');
  const policy = tags.get('p')?.toLowerCase();
  if (policy !== 'reject') return differs(`p=${policy ?? ''} lets others take mail that is not from you`);
  const percent = tags.get('pct') ?? '100';
  if (percent !== '100') return differs(`pct=${percent}: the policy holds for some mail only`);
  const relaxed = ['adkim', 'aspf'].filter((tag) => tags.get(tag)?.toLowerCase() !== 's');
  return relaxed.length === 0
    ? ok()
    : ok(
        `${relaxed.map((tag) => `${tag}=s`).join(', ')} would be stricter: names below the domain pass, too`,
      );
}

/** RFC 8461 3.1. The id is the operator's to choose; it has to change with the policy, and nothing else is asked. */
export function compareSts(have: readonly string[]): Verdict {
  const records = ofVersion(have, 'STSv1');
  const [text] = records;
  if (text === undefined) return missing();
  if (records.length > 1) return differs('there are several such records, so that none counts: keep one');
  const id = readTags(text)?.get('id') ?? '';
  return /^[a-z0-9]{1,32}$/i.test(id) ? ok() : differs('id= must be 1 to 32 letters and digits');
}

/** RFC 8460 3. */
export function compareTlsReport(wanted: string, have: readonly string[]): Verdict {
  const records = ofVersion(have, 'TLSRPTv1');
  const [text] = records;
  if (text === undefined) return missing();
  if (records.length > 1) return differs('there are several such records, so that none counts: keep one');
  const targets = (from: string) => (readTags(from)?.get('rua') ?? '').toLowerCase().split(/\s*,\s*/);
  const have1 = targets(text);
  return targets(wanted).every((target) => have1.includes(target))
    ? ok()
    : differs('rua= leads elsewhere than tls_report_address');
}
