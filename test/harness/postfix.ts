import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { freePorts } from './free-ports.ts';
import { connectSmtp } from './smtp-client.ts';

export interface PostfixOptions {
  readonly domain: string;
  /** Local parts; all others are refused with 550. */
  readonly users: readonly string[];
  /** Local parts that are taken at RCPT and fail afterwards: Postfix bounces them itself. */
  readonly leavers?: readonly string[];
  /** Bytes of a message. */
  readonly maxSize: number;
  /** For its own port 25. */
  readonly certificate: KeyPair;
  /** PEM: whom it trusts when it sends. */
  readonly trustedCa: string;
  /** Other servers by their domain, on 127.0.0.1; it sends with TLS and a certificate for that very name, or not at all. */
  readonly routes: Readonly<Record<string, number>>;
  /** The socket of a filter for all mail, in and out. */
  readonly milter: string;
}

/** Debian's Postfix as a mail server of its own: its files in a directory that goes with it, its ports on loopback. */
export interface Postfix extends AsyncDisposable {
  /** Its port 25. */
  readonly port: number;
  /** What it has logged, line by line. */
  readonly log: readonly string[];
  /** Hands it mail as one of its own users; without `signed` past the filter. It has taken it when this resolves. */
  submit(
    sender: string,
    recipients: readonly string[],
    message: Buffer,
    options?: { readonly signed?: boolean },
  ): Promise<void>;
  /** The first message for this user that matches and was not handed out before; its lines end in CRLF. */
  received(user: string, pattern: RegExp): Promise<Buffer>;
  /** The messages in a mailbox that were not handed out. */
  rest(user: string): Promise<Buffer[]>;
  /** Resolves with the first line of its log that matches, be it there or to come. */
  logged(pattern: RegExp): Promise<string>;
}

/** What a service says of itself to the filter, when mail of users comes through it. */
export const ORIGINATING = 'ORIGINATING';

/** Longer than any step takes on a loaded machine. */
const PATIENCE_MS = 30_000;
/** `nobody`: virtual(8) delivers as somebody who may do nothing else. */
const NOBODY = 65534;

/** Ends with Postfix, and stops it when our end of the pipe is closed, be it because we were killed. */
const KEEP = `(postfix -c "$0" start-fg; kill $$) & read _; trap '' TERM; postfix -c "$0" stop; wait`;

/** Starts it; as root, since its parts change their user. Disposing of it fails where one of its processes is left. */
export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  await using begun = new AsyncDisposableStack();
  // Short: sockets of its queue have paths of 100 characters at most.
  const dir = await mkdtemp(join(tmpdir(), 'teal-postfix-'));
  begun.defer(() => rm(dir, { recursive: true, force: true }));
  const [port = 0, signing = 0, plain = 0] = await freePorts(3);
  await writeFiles(dir, options, { port, signing, plain });

  const log: string[] = [];
  const waiting = new Set<() => void>();
  const lookAgain = () => {
    for (const look of waiting) look();
  };
  const file = join(dir, 'log');
  await writeFile(file, '');
  // Its stdout will not do: Node's pipes are sockets, which nobody can open by a name.
  const watcher = watch(file, () => {
    log.splice(0, Infinity, ...readFileSync(file, 'utf8').split('\n').slice(0, -1));
    lookAgain();
  });
  begun.defer(() => watcher.close());
  const keeper = spawn('/bin/sh', ['-c', KEEP, join(dir, 'config')], { stdio: ['pipe', 'ignore', 'ignore'] });
  const gone = once(keeper, 'exit');
  let ended = false;
  void gone.then(() => {
    ended = true;
    lookAgain();
  });
  begun.defer(async () => {
    keeper.stdin.end();
    await gone;
    const left = await processesIn(join(dir, 'queue'));
    if (left.length > 0) throw new Error(`postfix has left processes behind: ${left.join(', ')}`);
  });

  /** Asks again whenever a line was logged: Postfix logs each thing it has done. */
  const until = <T>(what: string, ask: () => Promise<T | undefined>): Promise<T> =>
    new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        waiting.delete(look);
      };
      const fail = (why: string) => {
        end();
        reject(new Error(`${what}: ${why}\n${log.join('\n')}`));
      };
      const timer = setTimeout(() => fail('did not come'), PATIENCE_MS);
      let asking = Promise.resolve();
      const look = () => {
        asking = asking.then(async () => {
          if (!waiting.has(look)) return;
          const answer = await ask();
          if (answer !== undefined) {
            end();
            resolve(answer);
          } else if (ended) {
            fail('postfix has ended');
          }
        }, reject);
      };
      waiting.add(look);
      look();
    });
  const logged = (pattern: RegExp) =>
    until(String(pattern), async () => log.find((line) => pattern.test(line)));

  const handedOut = new Set<string>();
  const waitingFor = async (user: string): Promise<{ file: string; message: Buffer }[]> => {
    const box = join(dir, 'mail', user, 'new');
    const names = await readdir(box).catch(() => []);
    const files = names.map((name) => join(box, name)).filter((file) => !handedOut.has(file));
    return Promise.all(
      files.map(async (file) => ({
        file,
        message: Buffer.from((await readFile(file, 'latin1')).replaceAll('\n', '\r\n'), 'latin1'),
      })),
    );
  };

  await logged(/daemon started/);
  const all = begun.move();
  return {
    port,
    log,
    logged,
    async submit(sender, recipients, message, { signed = true } = {}) {
      await using smtp = await connectSmtp({ port: signed ? signing : plain });
      const reply = await smtp.deliver(sender, recipients, message);
      if (reply.code !== 250) throw new Error(`postfix has not taken it: ${reply.text}`);
    },
    received: (user, pattern) =>
      until(`a message for ${user} with ${String(pattern)}`, async () => {
        const found = (await waitingFor(user)).find(({ message }) =>
          pattern.test(message.toString('latin1')),
        );
        if (found) handedOut.add(found.file);
        return found?.message;
      }),
    rest: async (user) => (await waitingFor(user)).map(({ message }) => message),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Services {
  readonly port: number;
  /** For mail of its own users, signed or not. */
  readonly signing: number;
  readonly plain: number;
}

async function writeFiles(dir: string, options: PostfixOptions, services: Services): Promise<void> {
  const { domain, users, leavers = [], certificate, trustedCa, routes, milter, maxSize } = options;
  await chmod(dir, 0o755);
  for (const name of ['config', 'queue', 'data', 'mail']) await mkdir(join(dir, name));
  await chown(join(dir, 'mail'), NOBODY, NOBODY);
  await chown(join(dir, 'data'), await idOf('postfix'), 0);
  const [chain, roots] = [join(dir, 'config', 'chain.pem'), join(dir, 'config', 'roots.pem')];
  await writeFile(chain, certificate.key + certificate.cert, { mode: 0o600 });
  await writeFile(roots, trustedCa);

  const inline = (entries: readonly (readonly [string, string])[]) =>
    `inline:{ ${entries.map(([key, value]) => `{ ${key} = ${value} }`).join(', ')} }`;
  const hosts = Object.entries(routes).map(([name, port]) => ({ name, host: `[127.0.0.1]:${port}` }));
  const main: Readonly<Record<string, string>> = {
    compatibility_level: '3.6',
    queue_directory: join(dir, 'queue'),
    data_directory: join(dir, 'data'),
    maillog_file: join(dir, 'log'),
    maillog_file_prefixes: dir,
    myhostname: domain,
    mydestination: '',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mynetworks: '127.0.0.1/32',
    smtputf8_enable: 'no',
    message_size_limit: String(maxSize),
    // It changes nothing of a message but the fields on top.
    local_header_rewrite_clients: '',
    alias_maps: '',
    local_recipient_maps: '',
    // Its users.
    virtual_mailbox_domains: domain,
    virtual_mailbox_base: join(dir, 'mail'),
    virtual_mailbox_maps: inline([...users, ...leavers].map((user) => [`${user}@${domain}`, `${user}/`])),
    virtual_uid_maps: `static:${NOBODY}`,
    virtual_gid_maps: `static:${NOBODY}`,
    virtual_minimum_uid: '1',
    // What comes.
    smtpd_peername_lookup: 'no',
    smtpd_relay_restrictions: 'reject_unauth_destination',
    smtpd_tls_chain_files: chain,
    smtpd_tls_security_level: 'encrypt',
    smtpd_tls_loglevel: '1',
    // What goes: names have no DNS here, and a host's certificate must be its own.
    transport_maps: inline([
      ...hosts.map(({ name, host }) => [name, `smtp:${host}`] as const),
      ...leavers.map((user) => [`${user}@${domain}`, 'left:'] as const),
    ]),
    smtp_dns_support_level: 'disabled',
    smtp_tls_policy_maps: inline(hosts.map(({ name, host }) => [host, `secure match=${name}`])),
    smtp_tls_CAfile: roots,
    smtp_tls_security_level: 'secure',
    smtp_tls_loglevel: '1',
    // As upstream (relay.md 4): its own bounces are signed as well.
    smtpd_milters: `unix:${milter}`,
    non_smtpd_milters: `unix:${milter}`,
    internal_mail_filter_classes: 'bounce',
    milter_default_action: 'tempfail',
  };
  const lines = Object.entries(main).map(([key, value]) => `${key} = ${value}\n`);
  await writeFile(join(dir, 'config', 'main.cf'), lines.join(''));

  const local = ['smtpd_tls_security_level=none', 'smtpd_relay_restrictions=permit_mynetworks,reject'];
  const ofUsers = (...more: string[]) => [...local, ...more].map((option) => ` -o ${option}`).join('');
  const internal = (name: string, process: string, type = 'unix', privately = '-', limit = '-') =>
    `${name} ${type} ${privately} n n - ${limit} ${process}`;
  const master = [
    `127.0.0.1:${services.port} inet n - n - - smtpd`,
    `127.0.0.1:${services.signing} inet n - n - - smtpd${ofUsers(`milter_macro_daemon_name=${ORIGINATING}`)}`,
    `127.0.0.1:${services.plain} inet n - n - - smtpd${ofUsers('smtpd_milters=')}`,
    `cleanup unix n - n - 0 cleanup -o milter_macro_daemon_name=${ORIGINATING}`,
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    ...['bounce', 'defer', 'trace'].map((name) => internal(name, 'bounce', 'unix', '-', '0')),
    internal('rewrite', 'trivial-rewrite'),
    internal('proxymap', 'proxymap'),
    internal('smtp', 'smtp'),
    internal('error', 'error'),
    internal('retry', 'error'),
    internal('virtual', 'virtual'),
    internal('anvil', 'anvil', 'unix', '-', '1'),
    internal('scache', 'scache', 'unix', '-', '1'),
    internal('showq', 'showq', 'unix', 'n'),
    internal('flush', 'flush', 'unix', 'n', '0'),
    // 67 is EX_NOUSER of sysexits.h.
    `${internal('left', 'pipe')} user=nobody argv=/bin/sh -c {exit 67}`,
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  await writeFile(join(dir, 'config', 'master.cf'), `${master.join('\n')}\n`);
}

async function idOf(user: string): Promise<number> {
  const { stdout } = await promisify(execFile)('id', ['-u', user]);
  return Number(stdout);
}

/** Each of its processes works in the directory of its queue. */
async function processesIn(directory: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(
    pids.map(async (pid) => ({ pid, place: await readlink(`/proc/${pid}/cwd`).catch(() => '') })),
  );
  return places.filter(({ place }) => place.startsWith(directory)).map(({ pid }) => pid);
}
