import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** An event of a Delta Chat core: `kind` and what belongs to it. */
export type CoreEvent = { readonly kind: string } & Record<string, unknown>;

/** Cores that npm brings on linux x64; the old ones are what people still have on their phones. */
export const cores = {
  newest: '@deltachat/stdio-rpc-server-linux-x64',
  '2.57.0': 'deltachat-core-2.57.0',
  '2.48.0': 'deltachat-core-2.48.0',
  '2.33.0': 'deltachat-core-2.33.0',
  '1.160.0': 'deltachat-core-1.160.0',
} as const;
export type CoreVersion = keyof typeof cores;

function binary(version: CoreVersion): string {
  return new URL(`../../node_modules/${cores[version]}/deltachat-rpc-server`, import.meta.url).pathname;
}

/** For `{ skip }` of a test: false where the core is installed, else the line that names it as left out. */
export function withoutCore(version: CoreVersion): string | false {
  return existsSync(binary(version)) ? false : `peer left out: Delta Chat core ${version}`;
}

/** Where a client finds its relay. */
export interface Servers {
  readonly imapPort: number;
  readonly smtpPort: number;
  readonly imapSecurity?: 'ssl' | 'starttls';
  readonly smtpSecurity?: 'ssl' | 'starttls';
}

interface Waiter {
  readonly account: number;
  readonly kind: string;
  readonly match: (event: CoreEvent) => boolean | Promise<boolean>;
  readonly found: (event: CoreEvent) => void;
}

const WAIT_MS = 40_000;

/**
 * One real Delta Chat core, driven by JSON-RPC over its standard streams; it may hold many accounts. Arm a wait before
 * the act that ends it, and match on content: info messages fire IncomingMsg too (probe.md 2.3).
 */
export class DeltaChat implements AsyncDisposable {
  readonly #dir: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #waiters = new Set<Waiter>();
  readonly #log: string[] = [];
  #nextId = 1;
  #gone = false;

  private constructor(dir: string, child: ChildProcessWithoutNullStreams) {
    this.#dir = dir;
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.#answer(line));
    // A call on its way to a core that is being killed; 'exit' rejects it.
    child.stdin.on('error', () => undefined);
    child.on('exit', () => {
      this.#gone = true;
      for (const call of this.#calls.values()) call.reject(new Error('the core has exited'));
      this.#calls.clear();
    });
    void this.#pumpEvents();
  }

  static async start(version: CoreVersion = 'newest'): Promise<DeltaChat> {
    const dir = await mkdtemp(join(tmpdir(), 'teal-core-'));
    const child = spawn(binary(version), {
      env: { DC_ACCOUNTS_PATH: join(dir, 'accounts'), RUST_LOG: 'error' },
      stdio: 'pipe',
    });
    child.stderr.resume();
    // A call may be on its way while the core is killed.
    child.stdin.on('error', () => undefined);
    return new DeltaChat(dir, child);
  }

  /** Calls a method of the core; rejects with its error text. */
  async rpc<T = unknown>(method: string, ...params: readonly unknown[]): Promise<T> {
    if (this.#gone) throw new Error('the core has exited');
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    return (await answer) as T;
  }

  /** Resolves with the first event of `kind` from now on that matches; rejects with the core's log after `ms`. */
  wait(account: number, kind: string, match: Waiter['match'] = () => true, ms = WAIT_MS): Promise<CoreEvent> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        account,
        kind,
        match,
        found: (event) => {
          end();
          resolve(event);
        },
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`no ${kind} within ${ms} ms\n${this.#log.slice(-60).join('\n')}`));
      }, ms);
      this.#waiters.add(waiter);
    });
  }

  /** What the core warned of or called an error so far, less those that `expected` matches. */
  warnings(expected: RegExp = /^$/): string[] {
    return this.#log.filter((line) => /^\d+ (Warning|Error) /.test(line) && !expected.test(line));
  }

  /** A new account on `servers`, logged in and idling. */
  async account(addr: string, password: string, servers: Servers): Promise<number> {
    const id = await this.#newAccount(addr);
    const idle = this.wait(id, 'ImapInboxIdle');
    await this.rpc('add_or_update_transport', id, {
      addr,
      password,
      imapServer: '127.0.0.1',
      imapPort: servers.imapPort,
      imapFolder: null,
      imapSecurity: servers.imapSecurity ?? 'ssl',
      imapUser: null,
      smtpServer: '127.0.0.1',
      smtpPort: servers.smtpPort,
      smtpSecurity: servers.smtpSecurity ?? 'ssl',
      smtpUser: null,
      smtpPassword: null,
      certificateChecks: 'acceptInvalidCertificates',
    });
    await idle;
    return id;
  }

  /** A new account from a `dclogin:` or `dcaccount:` link, logged in and idling; `proxy` resolves all names for it. */
  async accountFromLink(link: string, proxy?: string): Promise<number> {
    const id = await this.#newAccount('from-link');
    if (proxy !== undefined) await this.rpc('batch_set_config', id, { proxy_url: proxy, proxy_enabled: '1' });
    const idle = this.wait(id, 'ImapInboxIdle');
    await this.rpc('add_transport_from_qr', id, link);
    await idle;
    return id;
  }

  async #newAccount(name: string): Promise<number> {
    const id = await this.rpc<number>('add_account');
    await this.rpc('batch_set_config', id, { displayname: name.split('@')[0] ?? name });
    return id;
  }

  /** The text of the next incoming message for which `match` holds, and where it is. */
  async incoming(
    account: number,
    match: (text: string) => boolean,
  ): Promise<{ text: string; msgId: number; chatId: number }> {
    let text = '';
    const event = await this.wait(account, 'IncomingMsg', async (candidate) => {
      ({ text } = await this.rpc<{ text: string }>('get_message', account, candidate['msgId']));
      return match(text);
    });
    return { text, msgId: Number(event['msgId']), chatId: Number(event['chatId']) };
  }

  /** Sends a message with a file, or any other MessageData of the core. */
  async send(account: number, chat: number, data: Record<string, unknown>): Promise<number> {
    return this.rpc('send_msg', account, chat, {
      text: null,
      html: null,
      viewtype: null,
      file: null,
      filename: null,
      location: null,
      overrideSenderName: null,
      quotedMessageId: null,
      quotedText: null,
      ...data,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await exited;
    await rm(this.#dir, { recursive: true, force: true });
  }

  #answer(line: string): void {
    const { id, result, error } = JSON.parse(line) as {
      id?: number;
      result?: unknown;
      error?: { message: string };
    };
    const call = this.#calls.get(id ?? -1);
    if (!call) return;
    this.#calls.delete(id ?? -1);
    if (error) call.reject(new Error(error.message));
    else call.resolve(result);
  }

  async #pumpEvents(): Promise<void> {
    for (;;) {
      let next: { contextId: number; event: CoreEvent };
      try {
        // get_next_event is there in every core from 1.160 on; the batched form is not.
        next = await this.rpc('get_next_event');
      } catch {
        return;
      }
      const { contextId, event } = next;
      const message = event['msg'];
      this.#log.push(
        `${contextId} ${event.kind} ${typeof message === 'string' ? message : JSON.stringify(event)}`,
      );
      for (const waiter of [...this.#waiters]) {
        if (waiter.account !== contextId || waiter.kind !== event.kind) continue;
        void Promise.resolve(waiter.match(event)).then(
          (yes) => yes && this.#waiters.has(waiter) && waiter.found(event),
        );
      }
    }
  }
}

/** Secure join, whoever holds the accounts: resolves with the joiner's chat when both sides are done. */
export async function secureJoin(
  inviter: { core: DeltaChat; id: number },
  joiner: { core: DeltaChat; id: number },
): Promise<number> {
  const done = (event: CoreEvent) => event['progress'] === 1000;
  const both = Promise.all([
    inviter.core.wait(inviter.id, 'SecurejoinInviterProgress', done),
    joiner.core.wait(joiner.id, 'SecurejoinJoinerProgress', done),
  ]);
  const link = await inviter.core.rpc<string>('get_chat_securejoin_qr_code', inviter.id, null);
  const chat = await joiner.core.rpc<number>('secure_join', joiner.id, link);
  await both;
  return chat;
}
