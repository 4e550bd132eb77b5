import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface OpenDkimOptions {
  readonly domain: string;
  readonly selector: string;
  /** The key in PEM. */
  readonly key: string;
  readonly algorithm?: 'rsa-sha256' | 'ed25519-sha256';
  /** As in c=. */
  readonly canonicalization?: string;
  /**
   * As the filter of a mail server it signs what comes through a service of that name (Postfix's
   * `milter_macro_daemon_name`) and verifies all else, with keys from this name server (`127.0.0.1:port`).
   */
  readonly filter?: { readonly signs: string; readonly dns: string };
  /** Further lines of opendkim.conf. */
  readonly config?: readonly string[];
}

/** A running opendkim: the filter itself, as a mail server talks to it. */
export interface OpenDkim extends AsyncDisposable {
  /** Where it listens: a socket that every user of this machine may connect to. */
  readonly socket: string;
  /** `message` with the DKIM-Signature on top that opendkim made; the message's From must be at its domain. */
  sign(message: Buffer): Promise<Buffer>;
}

/** Starts opendkim in a directory of its own, as the user we are. */
export async function startOpenDkim(options: OpenDkimOptions): Promise<OpenDkim> {
  const { domain, selector, key, algorithm = 'rsa-sha256', canonicalization = 'relaxed/simple' } = options;
  const { filter } = options;
  const dir = await mkdtemp(join(tmpdir(), 'teal-opendkim-'));
  await chmod(dir, 0o711);
  const socket = join(dir, 'milter');
  await writeFile(join(dir, 'key'), key, { mode: 0o600 });
  const config = [
    ...(filter ? await filtering(dir, filter) : ['Mode s', 'InternalHosts 127.0.0.1']),
    `Domain ${domain}`,
    `Selector ${selector}`,
    `KeyFile ${join(dir, 'key')}`,
    `SignatureAlgorithm ${algorithm}`,
    `Canonicalization ${canonicalization}`,
    `Socket local:${socket}`,
    'UMask 000',
    'Syslog no',
    // It would refuse any key below /tmp.
    'RequireSafeKeys no',
    ...(options.config ?? []),
  ];
  await writeFile(join(dir, 'config'), `${config.join('\n')}\n`);
  const child = spawn('/usr/sbin/opendkim', ['-f', '-x', join(dir, 'config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new AbortController();
  void gone.then(() => ended.abort(new Error(`opendkim ended: ${said}`)));
  await accepts(socket, ended.signal);
  return {
    socket,
    sign: (message) => signByMilter(socket, message),
    async [Symbol.asyncDispose]() {
      // Asked kindly, it takes five seconds.
      child.kill('SIGKILL');
      await gone;
      await rm(dir, { recursive: true });
    },
  };
}

/** Nobody is internal for its address (documentation has 192.0.2.0/24): the macro alone tells whose mail is signed. */
async function filtering(dir: string, { signs, dns }: { signs: string; dns: string }): Promise<string[]> {
  const unbound = [
    'server:',
    'do-not-query-localhost: no',
    'module-config: "iterator"',
    // RFC 6761 6.2: unbound itself would say that there is nothing below it.
    'local-zone: "test." nodefault',
    'forward-zone:',
    'name: "."',
    `forward-addr: ${dns.replace(':', '@')}`,
  ];
  await writeFile(join(dir, 'unbound'), `${unbound.join('\n')}\n`);
  return [
    'Mode sv',
    'InternalHosts 192.0.2.1',
    `MacroList daemon_name=${signs}`,
    `ResolverConfiguration ${join(dir, 'unbound')}`,
    'AlwaysAddARHeader yes',
  ];
}

/** For each message, what opendkim says of each signature in it, in order; `records` are TXT records by name. */
export async function verifyWithOpenDkim(
  messages: readonly Buffer[],
  records: Readonly<Record<string, string>>,
): Promise<string[][]> {
  const dir = await mkdtemp(join(tmpdir(), 'teal-opendkim-'));
  try {
    const dns = Object.entries(records).map(([name, value]) => `${name} ${value}\n`);
    await writeFile(join(dir, 'dns'), dns.join(''));
    await writeFile(join(dir, 'config'), `Mode v\nSyslog no\nTestDNSData file:${join(dir, 'dns')}\n`);
    const results: string[][] = [];
    for (const message of messages) {
      await writeFile(join(dir, 'message'), message);
      const said = await promisify(execFile)(
        '/usr/sbin/opendkim',
        ['-x', join(dir, 'config'), '-vv', '-t', join(dir, 'message')],
        { maxBuffer: 1 << 24 },
      );
      // The Authentication-Results field it would add.
      results.push(
        [...said.stdout.matchAll(/\bdkim=(\w+)[^;]*header\.a=/g)].map(([, result = '']) => result),
      );
    }
    return results;
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** Nothing tells from outside that a program listens but a connection; gives up when `signal` does. */
async function accepts(path: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const socket = connect(path);
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await setTimeout(10, undefined, { signal });
  }
}

const PROTOCOL_VERSION = 6;
/** SMFIF_ADDHDRS and its like: we let the filter do what it wants. */
const ALL_ACTIONS = 0x1ff;
/** SMFIP_HDR_LEADSPC: field values go both ways with the space they begin with, else "simple" cannot be signed. */
const LEADING_SPACE = 0x100000;

/** One message through a milter (libmilter's protocol: length, command letter, data), as sendmail or Postfix does it. */
async function signByMilter(path: string, message: Buffer): Promise<Buffer> {
  const socket = connect(path);
  try {
    const packets = readPackets(socket);
    const send = (command: string, ...data: (string | Buffer)[]) => {
      const bytes = Buffer.concat(
        [command, ...data].map((one) => (typeof one === 'string' ? Buffer.from(one, 'latin1') : one)),
      );
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      socket.write(Buffer.concat([length, bytes]));
    };
    const next = async () => {
      const { value } = await packets.next();
      if (value === undefined) throw new Error('the milter has closed the connection');
      return value;
    };
    const expect = async (wanted: string) => {
      const packet = await next();
      const command = String.fromCharCode(packet[0] ?? 0);
      if (command !== wanted) throw new Error(`milter answered ${command}, not ${wanted}`);
    };

    const negotiation = Buffer.alloc(12);
    [PROTOCOL_VERSION, ALL_ACTIONS, LEADING_SPACE].forEach((value, index) =>
      negotiation.writeUInt32BE(value, index * 4),
    );
    send('O', negotiation);
    await expect('O');
    const end = message.indexOf('\r\n\r\n') + 2;
    const fields =
      message
        .subarray(0, end)
        .toString('latin1')
        .match(/[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*/g) ?? [];
    const steps: (string | Buffer)[][] = [
      ['C', 'localhost\0', '4', Buffer.from([0, 25]), '127.0.0.1\0'],
      ['H', 'localhost\0'],
      ['M', '<sender@localhost>\0'],
      ['R', '<recipient@localhost>\0'],
      ['T'],
      ...fields.map((field) => ['L', field.replace(':', '\0').replace(/\r\n$/, '\0').replace(/\r\n/g, '\n')]),
      ['N'],
      ['B', message.subarray(end + 2)],
    ];
    for (const [command, ...data] of steps) {
      send(String(command), ...data);
      await expect('c');
    }
    send('E');
    for (;;) {
      const packet = await next();
      const command = String.fromCharCode(packet[0] ?? 0);
      // SMFIR_INSHEADER: index, name, value.
      if (command === 'i') {
        const [name, value] = packet.subarray(5).toString('latin1').split('\0');
        return Buffer.concat([
          Buffer.from(`${name}:${value?.replace(/\r?\n/g, '\r\n')}\r\n`, 'latin1'),
          message,
        ]);
      }
      if ('catr'.includes(command)) throw new Error(`opendkim has not signed, but answered ${command}`);
    }
  } finally {
    socket.destroy();
  }
}

async function* readPackets(socket: Socket): AsyncGenerator<Buffer, undefined> {
  let waiting = Buffer.alloc(0);
  for await (const chunk of socket) {
    waiting = Buffer.concat([waiting, chunk as Buffer]);
    while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
      const end = 4 + waiting.readUInt32BE(0);
      yield waiting.subarray(4, end);
      waiting = waiting.subarray(end);
    }
  }
  return undefined;
}
