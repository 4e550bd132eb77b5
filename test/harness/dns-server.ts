import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import packet from 'dns-packet';
import type { Answer, Packet, Question, StringAnswer } from 'dns-packet';

/** What somebody asked, in the order of arrival; names in lower case. */
export interface AskedQuestion {
  readonly name: string;
  readonly type: string;
  readonly over: 'udp' | 'tcp';
}

/** A name server of its own on 127.0.0.1: it knows what it is told, and says NXDOMAIN to everything else. */
export interface DnsServer extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:port`: for createResolver and the setting dns_servers. */
  readonly address: string;
  /** Every question so far; set its length to 0 to forget them. */
  readonly questions: AskedQuestion[];
  /** Publishes a record beside those the name has. A TXT record of several strings is an array in `data`. */
  add(record: Answer): void;
  /** Replaces the TXT records of `name`, one for each argument; an array is one record of several strings. */
  setTxt(name: string, ...records: readonly (string | readonly string[])[]): void;
  /** The name has no record of any type again, and is neither failing nor silent. */
  remove(name: string): void;
  /** The name is answered with SERVFAIL. */
  fail(name: string): void;
  /** The name is never answered. */
  silence(name: string): void;
  /** As if this were a validating resolver: what is at the name or below it is signed, and answered with AD to who knows it. */
  sign(zone: string): void;
  /** Before each answer about the name this one is sent; undefined makes an end of that. */
  forge(name: string, change: ((answer: Packet) => Packet) | undefined): void;
}

/** Larger answers go over TCP (RFC 1035 4.2.1), so that both ways are used in tests. */
const MAX_UDP = 512;
const TRUNCATED = packet.TRUNCATED_RESPONSE;
const AUTHORITATIVE = packet.AUTHORITATIVE_ANSWER;
const SERVFAIL = 2;
const NXDOMAIN = 3;

/** `at`: another address of loopback, for a second server on the port of the first. */
export async function createDnsServer(
  at: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 },
): Promise<DnsServer> {
  const records = new Map<string, Answer[]>();
  const failing = new Set<string>();
  const silent = new Set<string>();
  const signed = new Set<string>();
  const forged = new Map<string, (answer: Packet) => Packet>();
  const questions: AskedQuestion[] = [];

  /** The name itself and those that it is below of. */
  const isSigned = (name: string): boolean =>
    signed.has(name) || (name.includes('.') && isSigned(name.slice(name.indexOf('.') + 1)));

  /** Undefined: the server says nothing. */
  function answer(query: Packet, over: 'udp' | 'tcp'): Packet | undefined {
    const question = query.questions?.[0];
    if (question === undefined) return undefined;
    const name = question.name.toLowerCase();
    questions.push({ name, type: question.type, over });
    if (silent.has(name)) return undefined;
    const found = lookUp(name, question);
    const code = failing.has(name) ? SERVFAIL : found === undefined ? NXDOMAIN : 0;
    const names = [name, ...(found ?? []).map((record) => record.name.toLowerCase())];
    const authentic = code !== SERVFAIL && knowsAd(query) && names.every(isSigned);
    return {
      type: 'response',
      id: query.id ?? 0,
      flags: AUTHORITATIVE | code | (authentic ? packet.AUTHENTIC_DATA : 0),
      questions: [question],
      answers: code === 0 ? (found ?? []) : [],
    };
  }

  /** Records of the type asked for, behind a CNAME as well; undefined where the name does not exist. */
  function lookUp(name: string, question: Question): Answer[] | undefined {
    const known = records.get(name);
    const alias = known?.find((record): record is StringAnswer => record.type === 'CNAME');
    if (alias === undefined || question.type === 'CNAME')
      return known?.filter((record) => record.type === question.type);
    return [alias, ...(lookUp(alias.data.toLowerCase(), question) ?? [])];
  }

  const tcp = createServer((socket) => serveTcp(socket, (query) => answer(query, 'tcp')));
  const udp = await listenOnBoth(tcp, at);
  udp.on('message', (bytes, peer) => {
    const reply = answer(packet.decode(bytes), 'udp');
    if (reply === undefined) return;
    const forgery = forged.get(reply.questions?.[0]?.name.toLowerCase() ?? '');
    if (forgery) udp.send(packet.encode(forgery(reply)), peer.port, peer.address);
    const whole = packet.encode(reply);
    const short = () => packet.encode({ ...reply, flags: (reply.flags ?? 0) | TRUNCATED, answers: [] });
    udp.send(whole.length > MAX_UDP ? short() : whole, peer.port, peer.address);
  });
  const open = new Set<Socket>();
  tcp.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  const { port } = udp.address();

  return {
    port,
    address: `${at.host}:${port}`,
    questions,
    add(record) {
      const name = record.name.toLowerCase();
      records.set(name, [...(records.get(name) ?? []), record]);
    },
    setTxt(name, ...texts) {
      const key = name.toLowerCase();
      records.set(
        key,
        texts.map((text) => ({
          name,
          type: 'TXT',
          ttl: 60,
          data: typeof text === 'string' ? cut(text) : [...text],
        })),
      );
    },
    remove(name) {
      for (const known of [records, failing, silent]) known.delete(name.toLowerCase());
    },
    fail: (name) => void failing.add(name.toLowerCase()),
    silence: (name) => void silent.add(name.toLowerCase()),
    sign: (zone) => void signed.add(zone.toLowerCase()),
    forge(name, change) {
      if (change) forged.set(name.toLowerCase(), change);
      else forged.delete(name.toLowerCase());
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(resolve)),
        new Promise<unknown>((resolve) => tcp.close(resolve)),
      ]);
    },
  };
}

/** RFC 6840 5.7 and RFC 3225 3. */
function knowsAd({ flags = 0, additionals = [] }: Packet): boolean {
  return (
    (flags & packet.AUTHENTIC_DATA) !== 0 || additionals.some((one) => one.type === 'OPT' && one.flag_do)
  );
}

/** A string of a TXT record holds 255 bytes at most (RFC 1035 3.3). */
function cut(text: string): string[] {
  return text.match(/[^]{1,255}/g) ?? [''];
}

/** Listens on one free port for both protocols; the port that TCP got may be taken for UDP, then on another. */
async function listenOnBoth(tcp: Server, { host, port: wanted }: { host: string; port: number }) {
  for (;;) {
    tcp.listen(wanted, host);
    await once(tcp, 'listening');
    const udp = createSocket('udp4');
    const { port } = tcp.address() as AddressInfo;
    const bound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind(port, host, () => resolve(true));
    });
    if (bound) return udp;
    udp.close();
    if (wanted !== 0) throw new Error(`port ${wanted} of ${host} is taken for UDP`);
    await new Promise((resolve) => tcp.close(resolve));
  }
}

function serveTcp(socket: Socket, answer: (query: Packet) => Packet | undefined): void {
  let waiting = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    // RFC 1035 4.2.2: two bytes of length before each message.
    while (waiting.length >= 2 && waiting.length >= 2 + waiting.readUInt16BE(0)) {
      const end = 2 + waiting.readUInt16BE(0);
      const reply = answer(packet.streamDecode(waiting.subarray(0, end)));
      waiting = waiting.subarray(end);
      if (reply !== undefined) socket.write(packet.streamEncode(reply));
    }
  });
}
