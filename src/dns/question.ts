/** A question to a validating resolver and its answer (RFC 1035 4.1, RFC 4035 3.2.3): bytes in, values out, no IO. */
import packet from 'dns-packet';
import type { Answer, DecodedPacket, StringAnswer, TlsaAnswer } from 'dns-packet';
import { second } from '../clock.ts';

export interface Question {
  /** RFC 1035 4.1.1: nobody who does not see the question knows it. */
  readonly id: number;
  /** In lower case, without a dot at the end. */
  readonly name: string;
  readonly type: AskedType;
}

export type AskedType = 'MX' | 'A' | 'AAAA' | 'CNAME' | 'TLSA';

/** RFC 6698 2.1. */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly data: Buffer;
}

/** What a resolver says. None of the records asked for is an answer, too. */
export interface ValidatedAnswer {
  /** The resolver has checked all of it, by DNSSEC from the root on (RFC 4035 3.2.3). It holds for "there is none", too. */
  readonly authentic: boolean;
  /** The name behind the CNAMEs; the one asked for where there are none. */
  readonly name: string;
  /** Whether that name has a record of the type. */
  readonly exists: boolean;
  /** Of TLSA, the records. */
  readonly tlsa: readonly TlsaRecord[];
  /** Milliseconds for which it may be kept; undefined where it does not say. */
  readonly ttl: number | undefined;
}

/** `again`: the answer does not fit into a packet. `trouble`: it could not find out; forged data is told so, too. */
export type Reply =
  | { readonly kind: 'answer'; readonly answer: ValidatedAnswer }
  | { readonly kind: 'again' }
  | { readonly kind: 'trouble'; readonly code: string };

/** RFC 6891 6.2.5: what goes over every network in one piece. */
const UDP_SIZE = 1232;
/** CNAMEs behind each other; resolvers give up after about as many. */
const MAX_ALIASES = 8;
/** TLSA records of one name; a host has two or three. */
const MAX_RECORDS = 32;
/** RFC 1035 3.1. */
const MAX_NAME = 253;
const MAX_LABEL = 63;

/** Whether it can be asked for at all: what DNS cannot hold is nowhere. */
export function isAskable(name: string): boolean {
  const fits = (label: string) => label.length > 0 && label.length <= MAX_LABEL;
  return name.length <= MAX_NAME && name.split('.').every(fits) && /^[\x21-\x7e]+$/.test(name);
}

/** AD (RFC 6840 5.7) and DO (RFC 3225 3) both: some resolvers tell only who says the one or the other. */
export function encodeQuestion({ id, name, type }: Question): Buffer {
  return packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ name, type, class: 'IN' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_SIZE,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: packet.DNSSEC_OK,
        flag_do: true,
        options: [],
      },
    ],
  });
}

/** Undefined where it is no answer to this question: somebody else's, an older one's, or none at all. */
export function readReply(bytes: Buffer, question: Question): Reply | undefined {
  const found = decode(bytes);
  const [asked, ...others] = found?.questions ?? [];
  if (!found?.flag_qr || found.id !== question.id || others.length > 0) return undefined;
  if (asked?.name.toLowerCase() !== question.name || asked.type !== question.type || asked.class !== 'IN')
    return undefined;
  if (found.flag_tc) return { kind: 'again' };
  // The types of the package leave it out.
  const code = 'rcode' in found ? String(found.rcode) : '';
  if (code !== 'NOERROR' && code !== 'NXDOMAIN') return { kind: 'trouble', code };
  return { kind: 'answer', answer: answerOf(found, question) };
}

function decode(bytes: Buffer): DecodedPacket | undefined {
  try {
    return packet.decode(bytes);
  } catch {
    return undefined;
  }
}

function answerOf({ flag_ad, answers = [], authorities = [] }: DecodedPacket, asked: Question) {
  let name = asked.name;
  const used: Answer[] = [];
  const at = (type: string) =>
    answers.filter((record) => record.type === type && record.name.toLowerCase() === name);
  for (let aliases = 0; asked.type !== 'CNAME' && aliases < MAX_ALIASES; aliases += 1) {
    const [alias] = at('CNAME') as StringAnswer[];
    if (alias === undefined) break;
    used.push(alias);
    name = alias.data.toLowerCase();
  }
  const records = at(asked.type);
  const tlsa = asked.type === 'TLSA' ? (records as TlsaAnswer[]).slice(0, MAX_RECORDS).map(tlsaOf) : [];
  const ttls = [...used, ...records].map(ttlOf);
  // RFC 2308 5: how long it holds that there is none.
  if (records.length === 0)
    for (const record of authorities)
      if (record.type === 'SOA') ttls.push(Math.min(ttlOf(record), record.data.minimum ?? 0));
  const ttl = ttls.length === 0 ? undefined : Math.min(...ttls) * second;
  return { authentic: flag_ad, name, exists: records.length > 0, tlsa, ttl };
}

/** Copied: a slice would keep the packet. */
function tlsaOf({ data: { usage, selector, matchingType, certificate } }: TlsaAnswer): TlsaRecord {
  return { usage, selector, matchingType, data: Buffer.from(certificate) };
}

/** RFC 2181 8: one with its first bit set is none. */
function ttlOf(record: Answer): number {
  const ttl = 'ttl' in record ? (record.ttl ?? 0) : 0;
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
