import { setImmediate as turn } from 'node:timers/promises';
import type { Socket } from 'node:net';
import { minute, second } from '../clock.ts';
import type { Change, MailboxId } from '../store/contract.ts';
import { StoreUnavailable } from '../store/contract.ts';
import { capabilitiesOf } from './capabilities.ts';
import { dispatch, misplaced, noticesAfter } from './commands/dispatch.ts';
import type { Connection } from './connection.ts';
import { createConnection } from './connection.ts';
import type { Context, Opened, Reply, SessionParts } from './context.ts';
import { createLiteralMemory } from './literal-memory.ts';
import { decideLiteral } from './literals.ts';
import { noticeLine } from './notice-line.ts';
import { ConnectionGone } from './outbox.ts';
import { Busy } from './reads.ts';
import { createSelected, MAX_UNTOLD } from './selected.ts';
import type { Selected } from './selected.ts';
import type { Command } from './wire/command.ts';
import { parseCommand } from './wire/parse-command.ts';
import { codes, continuation, lineOf, statusLine } from './wire/response.ts';
import type { SplitterEvent } from './wire/splitter.ts';

/** From connecting to being logged in, TLS included; a login that is being checked may finish. */
export const LOGIN_TIMEOUT = 60 * second;
/** RFC 9051 5.4: at least 30 minutes. IDLE has none: its keep-alive finds out who is gone. */
export const IDLE_TIMEOUT = 31 * minute;
/** Commands that made no sense, on one connection (wildduck.md 3.3). */
export const MAX_BAD = 50;
/** Commands after which others get their turn, where none of them had to wait for anything. */
const TURN_AFTER = 32;

/** One client, from the greeting to the end. */
export interface Session {
  /** Resolves when the connection is closed and nothing of the session runs any more. Never rejects. */
  readonly done: Promise<void>;
  /** BYE, and closes (RFC 9051 7.1.5). */
  shutDown(): void;
}

export interface SessionOptions {
  readonly socket: Socket;
  /** The client's network address; the socket may know that of a proxy alone. */
  readonly peer: string;
  /** `now`: TLS before the greeting. `later`: the client may ask for it. `done`: the socket has it. */
  readonly tls: 'now' | 'later' | 'done';
  readonly parts: SessionParts;
}

export function startSession({ socket, peer, tls, parts }: SessionOptions): Session {
  const { clock, events, options, store } = parts;
  const id = parts.random(8).toString('hex');

  let account: Context['account'];
  let selected: Selected | undefined;
  /** A mailbox whose snapshot is being read, and what was heard of it meanwhile. */
  let opening: { readonly mailbox: MailboxId; readonly heard: Change[] } | undefined;
  let unsubscribe: (() => void) | undefined;
  let running = false;
  let badCommands = 0;
  let commands = 0;

  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  const connection: Connection = createConnection({
    socket,
    clock,
    decide: (offer) =>
      decideLiteral(offer, {
        secure: connection.secure,
        loggedIn: account !== undefined,
        maxMessageSize: options.maxMessageSize,
        reserve: (bytes) => literals.reserve(bytes),
      }),
    onClose: (error) => {
      if (error) events.sessionFailed(parts.service, id, error);
      onClosed();
    },
  });

  const literals = createLiteralMemory({
    byteBudget: parts.byteBudget,
    clock,
    lastInput: () => connection.lastInput,
    onStall: () => connection.destroy(),
  });

  const context: Context = {
    id,
    peer,
    parts,
    connection,
    get account() {
      return account;
    },
    get selected() {
      return selected;
    },
    condstore: false,
    compression: options.compress ? 'offered' : 'off',
    idling: false,
    partial: false,
    failedLogins: 0,

    capabilities: () =>
      capabilitiesOf({
        secure: connection.secure,
        loggedIn: account !== undefined,
        compress: context.compression,
      }),
    write(...pieces) {
      for (const piece of pieces) connection.out.write(piece);
    },
    signIn(who) {
      unsubscribe = parts.changes.subscribe(who.id, hear);
      account = who;
      connection.loggedIn();
      timer[Symbol.dispose]();
      timer = clock.after(IDLE_TIMEOUT, watchSilence);
      events.loggedIn(parts.service, id);
    },
    open,
    unselect() {
      selected = undefined;
    },
    tell,
    bye,
  };

  // ---- time --------------------------------------------------------------------------------------------------------

  let timer = clock.after(LOGIN_TIMEOUT, loginOverdue);

  function loginOverdue(): void {
    if (running && !connection.listening) timer = clock.after(second, loginOverdue);
    else bye('Login took too long');
  }

  function watchSilence(): void {
    const left = connection.lastInput + IDLE_TIMEOUT - clock.now();
    // A long FETCH is no silence; a peer who does not read it is found by the outbox.
    if (left > 0 || context.idling || (running && !connection.listening))
      timer = clock.after(Math.max(left, minute), watchSilence);
    else bye('Nothing heard for 30 minutes');
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  /** Called by the bus, in the tick of the commit. */
  function hear(change: Change): void {
    if (change.kind === 'account-removed') return bye('Account removed');
    if (change.kind === 'push' || change.kind === 'queue') return;
    if (opening?.mailbox === change.mailbox) {
      opening.heard.push(change);
      if (opening.heard.length > MAX_UNTOLD) bye('Too many changes at once', 'UNAVAILABLE');
    }
    if (selected?.mailbox !== change.mailbox) return;
    if (change.kind === 'mailbox-removed') return bye('Mailbox removed');
    const news = selected.hear(change);
    if (selected.untold > MAX_UNTOLD) return bye('Too many changes, select again', 'UNAVAILABLE');
    if (!news || !context.idling) return;
    tell({ expunges: true, flags: true });
    connection.out.flush();
  }

  async function open(
    mailbox: Parameters<Context['open']>[0],
    readOnly: boolean,
  ): Promise<Opened | undefined> {
    // Listening comes first: whatever the snapshot does not show yet is heard.
    opening = { mailbox: mailbox.id, heard: [] };
    try {
      const snapshot = await store.messages.snapshot(mailbox.id);
      if (!snapshot || opening.heard.some((change) => change.kind === 'mailbox-removed')) return undefined;
      selected = createSelected({ mailbox, snapshot, readOnly, origin: id });
      for (const change of opening.heard) selected.hear(change);
      return { ...snapshot, selected };
    } finally {
      opening = undefined;
    }
  }

  function tell(what: { readonly expunges: boolean; readonly flags: boolean }): void {
    for (const notice of selected?.announce(what) ?? []) {
      context.write(noticeLine(notice, context.condstore));
    }
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  function bye(text: string, code?: string): void {
    if (connection.closed) return;
    // In the middle of a literal BYE would be taken for message text.
    if (context.partial) {
      connection.destroy();
      return;
    }
    context.write(statusLine('*', 'BYE', text, code));
    if (account) connection.out.beginResponse();
    connection.end();
  }

  /**
   * Delta Chat takes a clean end of the connection in the midst of a FETCH for the end of its answers, counts what did not
   * come as seen and never asks for it again. So the connection never ends cleanly while a mailbox is selected: the next
   * response has always begun. Half of one is an error to it, and it comes back. With a certificate that is not public the
   * end of a process that was killed is as clean as any (OpenSSL, for which Delta Chat leaves rustls, does not tell them
   * apart), and nothing can be said then any more.
   */
  function leaveHalfSaid(): void {
    if (selected) connection.out.beginResponse();
  }

  async function handle(event: SplitterEvent): Promise<void> {
    switch (event.kind) {
      case 'continue':
        context.write(continuation('go on'));
        connection.out.flush();
        return;
      case 'refused':
        literals.release();
        context.write(lineOf(`${event.tag ?? '*'} ${event.reply}`));
        countBad(event.reply.startsWith('BAD'));
        if (event.close) bye('Too much to pass over');
        return connection.out.drained();
      case 'line':
        throw new Error('a line that nobody asked for');
      case 'command': {
        literals.arrived();
        running = true;
        try {
          await answer(event.pieces);
        } finally {
          running = false;
          literals.release();
        }
      }
    }
  }

  async function answer(pieces: readonly Buffer[]): Promise<void> {
    const parsed = parseCommand(pieces);
    if ('problem' in parsed) {
      context.write(statusLine(parsed.tag ?? '*', 'BAD', parsed.problem));
      leaveHalfSaid();
      countBad(true);
      return connection.out.drained();
    }
    const reply = await run(parsed.command);
    if (connection.closed) throw new ConnectionGone();
    const notices = noticesAfter(parsed.command);
    if (notices !== 'none') tell(notices);
    context.write(statusLine(parsed.tag, reply.status, reply.text, reply.code));
    if (!reply.after) leaveHalfSaid();
    countBad(reply.status === 'BAD');
    await connection.out.drained();
    await reply.after?.();
  }

  /**
   * design.md, promise 4: a failure that may pass is never a NO, which Delta Chat takes for "nothing there" and loses
   * mail by (client.md 2.6, 5). The connection goes; the client comes again.
   */
  async function run(command: Command): Promise<Reply> {
    try {
      return misplaced(command.name, context) ?? (await dispatch(command, context));
    } catch (error) {
      if (error instanceof ConnectionGone) throw error;
      if (error instanceof StoreUnavailable) events.storeUnavailable(error);
      else if (!(error instanceof Busy)) events.fault(`imap ${command.name}`, error);
      bye('Temporary failure, try again later', 'UNAVAILABLE');
      throw new ConnectionGone();
    }
  }

  function countBad(isBad: boolean): void {
    if (!isBad) return;
    badCommands += 1;
    if (badCommands >= MAX_BAD) bye('Too many bad commands');
  }

  async function converse(): Promise<void> {
    if (tls === 'now') await connection.startTls(parts.secureContext());
    context.write(statusLine('*', 'OK', 'Teal ready', codes.capability(context.capabilities())));
    connection.out.flush();
    for (;;) {
      await handle(await connection.nextEvent());
      commands += 1;
      if (commands % TURN_AFTER === 0) await turn();
    }
  }

  async function live(): Promise<void> {
    try {
      await converse();
    } catch (error) {
      if (!(error instanceof ConnectionGone)) {
        events.fault('imap session', error);
        connection.destroy();
      }
    } finally {
      unsubscribe?.();
      selected = undefined;
      timer[Symbol.dispose]();
      literals.release();
      connection.end();
    }
    await closed;
  }

  return { done: live(), shutDown: () => bye('Shutting down, come again', 'UNAVAILABLE') };
}
