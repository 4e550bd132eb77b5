import type { Socket } from 'node:net';
import type { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { hour, minute } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import { refuse } from '../errors.ts';
import type { Refusal } from '../errors.ts';
import type { ByteBudget } from '../limits/byte-budget.ts';
import { receiveMessage } from '../mailflow/incoming-message.ts';
import type { IncomingMessage } from '../mailflow/incoming-message.ts';
import type { TakeMessage } from '../mailflow/verdict.ts';
import type { Events, Service } from '../observe/events.ts';
import { LineReader } from './line-reader.ts';
import { parseMailCommand, parseRcptCommand } from './mail-commands.ts';
import type { CommandProblem } from './mail-commands.ts';

/** What port 25 and the submission ports do differently. Each says why not, or undefined. */
export interface SessionRules {
  /** MAIL FROM; `user` is the address that logged in. */
  sender(sender: string, user: string | undefined): Judgement | Promise<Judgement>;
  /** RCPT TO, one of them: there may be a thousand, so no IO here. */
  recipient(recipient: string): Judgement;
  /** DATA, the transaction as a whole. */
  transaction(sender: string, recipients: number): Judgement | Promise<Judgement>;
}
type Judgement = Refusal | undefined;

export interface SessionParts {
  readonly service: Service;
  /** Names the session in our log. */
  readonly id: string;
  /** The client's network address; the socket may know that of a proxy alone. */
  readonly peer: string;
  readonly domain: string;
  /** Whether MAIL needs AUTH; AUTH is offered under TLS alone. */
  readonly loginRequired: boolean;
  readonly maxMessageSize: number;
  /** For the bytes of a message; `user` is the address that logged in, where that is required. */
  readonly budget: (user: string | undefined) => ByteBudget;
  readonly rules: SessionRules;
  readonly take: TakeMessage;
  readonly clock: Clock;
  readonly events: Events;
  /** Called once, when the connection is closed. */
  readonly closed: (session: Session) => void;
}

/** RFC 5321 4.5.3.1.8 asks for 100; relay.md 4 has 1000, and METADATA announces it to clients. */
export const MAX_RECIPIENTS = 1000;
/** From the connection to TLS and, where it is required, login: a fresh connection holds a place until then. */
export const OPENING_TIME = minute;
/** RFC 5321 4.5.3.2.7: at least five minutes for the next command; we give a block of DATA (4.5.3.2.5: three) as much. */
export const IDLE_TIME = 5 * minute;
/** All of DATA: 30 MiB at 9 KB/s. Whoever sends a byte a minute must not hold memory for ever. */
export const DATA_TIME = hour;
/** While we are the ones to say something: how long until the next look. */
const OUR_TURN = minute;
/** Commands refused for good since the last message taken; a thousand pipelined RCPTs of which many fail are honest. */
export const MAX_ERRORS = 100;

/** RFC 3207 4: all that may be said before STARTTLS; HELO as upstream (Postfix). */
const IN_CLEAR = new Set(['EHLO', 'HELO', 'STARTTLS', 'NOOP', 'QUIT']);
/** A text that begins with an enhanced status code of its own (RFC 2034). */
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}\b/;

/** `idle`: the client's turn. `data`: it sends a message. `taking`: the message is being judged and stored. */
type Phase = 'idle' | 'data' | 'taking';

interface Transaction {
  readonly sender: string;
  /** By lower-case address, so that one named twice counts once. */
  readonly recipients: Map<string, string>;
}

/**
 * One SMTP connection. smtp-server's connection does STARTTLS, AUTH and the dispatch of commands; MAIL, RCPT, DATA,
 * every limit and every time are ours. What is overridden is declared in its types; the version is pinned.
 */
export class Session extends SMTPConnection {
  readonly #parts: SessionParts;
  readonly #openedAt: number;
  #lastInput: number;
  #phase: Phase = 'idle';
  #dataSince = 0;
  #transaction: Transaction | undefined;
  #message: IncomingMessage | undefined;
  #errors = 0;
  #leaving = false;
  #timer: Timer | undefined;
  #over = false;

  constructor(server: SMTPServer, socket: Socket, parts: SessionParts) {
    super(server, socket, { id: parts.id, remoteAddress: parts.peer });
    this.#parts = parts;
    this.#openedAt = this.#lastInput = parts.clock.now();
  }

  /** smtp-server waits 100 ms before its greeting, to catch clients that talk too soon; that costs every honest one. */
  override init(): void {
    this._setListeners(() => this.connectionReady());
    this.#watch();
  }

  /** Says 421 and closes; a message under way is finished first. The caller bounds how long it waits for that. */
  leave(): void {
    this.#leaving = true;
    if (this.#phase === 'idle') this.#end(refuse('shutting_down', 'relay stops'));
  }

  /** Cuts the connection. */
  destroy(): void {
    this._socket.destroy();
  }

  // ---- reading and writing -----------------------------------------------------------------------------------------

  override _createParser(): LineReader {
    // Runs within the constructor of smtp-server as well: nothing of ours is touched before input comes.
    const reader = new LineReader({
      input: () => (this.#lastInput = this.#parts.clock.now()),
      command: (line, next) => this._onCommand(line, next),
      badLine: (reason) => {
        this._nextHandler = false;
        this.#refuse(refuse('command_line', reason, { reason }));
      },
    });
    reader.on('error', (error) => {
      this.#parts.events.fault('smtp session', error);
      this.#end(refuse('internal', 'fault while reading'));
    });
    return reader;
  }

  /** smtp-server puts an enhanced code before each text; a text of the catalogue has its own, or none as upstream. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    super.send(code, data, typeof data === 'string' && ENHANCED.test(data) ? false : context);
    if (code >= 500) this.#countError();
  }

  /** Writes a whole reply line to the letter. */
  #answer(line: string): void {
    super.send(Number(line.slice(0, 3)), line.slice(4), false);
  }

  #refuse(refusal: Refusal): void {
    this.#answer(refusal.reply);
    if (refusal.reply.startsWith('5')) this.#countError();
  }

  #countError(): void {
    this.#errors += 1;
    if (this.#errors === MAX_ERRORS) this.#end(refuse('too_many_errors', `${MAX_ERRORS} errors`));
  }

  /** Last words: 421 with the reason, then the connection is closed (smtp-server closes at every 421). */
  #end(refusal: Refusal): void {
    if (this.#over) return;
    this.#parts.events.sessionRefused(this.#parts.service, this.id, refusal);
    this.#release();
    // In the middle of a TLS handshake there is no way to say anything.
    if (this._upgrading) return this.destroy();
    this.#answer(refusal.reply);
    this.close();
  }

  // ---- times -------------------------------------------------------------------------------------------------------

  /** smtp-server has one time for everything, on the socket; ours are watched below. */
  override _armTimeout(): void {}

  #watch(): void {
    const { clock } = this.#parts;
    if (this.#over) return;
    this.#timer = clock.after(Math.max(0, this.#dueAt() - clock.now()), () => {
      if (clock.now() < this.#dueAt()) this.#watch();
      else this.#end(refuse('connection_timeout', this.#opened ? 'idle' : 'no TLS or no login in time'));
    });
  }

  /** When the client must have done something. Only the first deadline can come nearer, so one timer is enough. */
  #dueAt(): number {
    if (this.#phase === 'taking' || this._handlerPending) return this.#parts.clock.now() + OUR_TURN;
    if (!this.#opened) return this.#openedAt + OPENING_TIME;
    const idle = this.#lastInput + IDLE_TIME;
    return this.#phase === 'data' ? Math.min(idle, this.#dataSince + DATA_TIME) : idle;
  }

  get #opened(): boolean {
    return this.secure && (!this.#parts.loginRequired || this.#user !== undefined);
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  override _onCommand(line: Buffer, next: () => void = () => {}): void {
    const verb = line.toString('latin1').split(' ', 1)[0]?.toUpperCase() ?? '';
    if (!this._upgrading && !this.secure && !IN_CLEAR.has(verb)) {
      this.#refuse(refuse('starttls_required', 'before TLS'));
      return this._whenWritable(next);
    }
    super._onCommand(line, next);
  }

  /** AUTH before TLS is neither offered nor taken. */
  override _isDisabled(command: string): boolean {
    if (command === 'AUTH' && !(this.secure && this.#parts.loginRequired)) return true;
    return super._isDisabled(command);
  }

  /** EHLO, RSET, STARTTLS and the end of DATA begin anew (RFC 5321 4.1.4). */
  override _resetSession(): void {
    super._resetSession();
    this.#transaction = undefined;
  }

  /** Nothing is told about addresses, whatever is asked (relay.md 4: 252 for all). */
  override handler_VRFY(_line: Buffer, next: () => void): void {
    this.#answer('252 2.0.0 Send some mail, it will be tried');
    next();
  }

  override handler_MAIL(line: Buffer, next: () => void): void {
    void this.#mail(line).then(next);
  }

  async #mail(line: Buffer): Promise<void> {
    const command = parseMailCommand(line.toString('latin1'));
    if (this.#transaction !== undefined) {
      this.#refuse(refuse('command_sequence', 'MAIL twice', { reason: 'nested MAIL command' }));
    } else if ('problem' in command) {
      this.#refuse(syntaxRefusal('sender_syntax', command));
    } else if (command.size !== undefined && command.size > this.#parts.maxMessageSize) {
      this.#turnDown(refuse('message_too_big', `SIZE=${command.size}`));
    } else {
      const refusal = await this.#ask(() => this.#parts.rules.sender(command.sender, this.#user));
      if (this.#over) return;
      if (refusal === undefined) {
        this.#transaction = { sender: command.sender, recipients: new Map() };
        this.#answer('250 2.1.0 Ok');
      } else {
        this.#turnDown(refusal);
      }
    }
  }

  override handler_RCPT(line: Buffer, next: () => void): void {
    const command = parseRcptCommand(line.toString('latin1'), this.#parts.domain);
    const recipients = this.#transaction?.recipients;
    if (recipients === undefined) {
      this.#refuse(refuse('command_sequence', 'RCPT without MAIL', { reason: 'need MAIL command' }));
    } else if ('problem' in command) {
      this.#refuse(syntaxRefusal('recipient_syntax', command));
    } else {
      const { recipient } = command;
      const key = recipient.toLowerCase();
      const refusal =
        recipients.size >= MAX_RECIPIENTS && !recipients.has(key)
          ? refuse('too_many_recipients', `more than ${MAX_RECIPIENTS}`)
          : this.#parts.rules.recipient(recipient);
      if (refusal === undefined) {
        recipients.set(key, recipient);
        this.#answer('250 2.1.5 Ok');
      } else {
        this.#turnDown(refusal);
      }
    }
    next();
  }

  override handler_DATA(line: Buffer, next: () => void): void {
    void this.#data(line).then(next);
  }

  async #data(line: Buffer): Promise<void> {
    const transaction = this.#transaction;
    if (line.length > 'DATA'.length) {
      this.#refuse(refuse('command_arguments', 'DATA', { reason: 'DATA takes no argument' }));
    } else if (transaction === undefined) {
      this.#refuse(refuse('command_sequence', 'DATA without MAIL', { reason: 'need MAIL command' }));
    } else if (transaction.recipients.size === 0) {
      this.#refuse(refuse('no_valid_recipients', 'DATA without RCPT'));
    } else {
      const { sender, recipients } = transaction;
      const refusal = await this.#ask(() => this.#parts.rules.transaction(sender, recipients.size));
      if (this.#over) return;
      if (refusal === undefined) {
        this.#receive(transaction);
      } else {
        this._resetSession();
        this.#turnDown(refusal);
      }
    }
  }

  /** Never rejects. */
  async #ask(rule: () => Judgement | Promise<Judgement>): Promise<Judgement> {
    try {
      return await rule();
    } catch (error) {
      this.#parts.events.fault('smtp rule', error);
      return refuse('internal', 'fault in a rule');
    }
  }

  /** A refusal that an operator may want to know of, unlike a slip of syntax. */
  #turnDown(refusal: Refusal): void {
    const direction = this.#parts.service === 'smtp' ? 'incoming' : 'outgoing';
    this.#parts.events.messageRefused(direction, this.id, refusal);
    this.#refuse(refusal);
  }

  get #user(): string | undefined {
    // smtp-server keeps here what onAuth answered with: the address.
    return typeof this.session.user === 'string' ? this.session.user : undefined;
  }

  // ---- the message -------------------------------------------------------------------------------------------------

  #receive(transaction: Transaction): void {
    const { maxMessageSize: maxSize, clock } = this.#parts;
    const message = receiveMessage({ maxSize, budget: this.#parts.budget(this.#user) });
    this.#message = message;
    this.#phase = 'data';
    this.#dataSince = clock.now();
    if (this._parser instanceof LineReader) {
      this._parser.readMessage({
        push: (chunk) => message.push(chunk),
        complete: () => this.#complete(transaction, message),
      });
    }
    this.#answer('354 End data with <CR><LF>.<CR><LF>');
  }

  /** Never rejects. */
  async #complete(transaction: Transaction, message: IncomingMessage): Promise<void> {
    this.#phase = 'taking';
    // From here on the message outlives its connection: once handed over, it may be accepted whoever hangs up.
    this.#message = undefined;
    const refusal = await this.#hand(transaction, message);
    message.release();
    if (refusal === undefined) this.#errors = this._unrecognizedCommands = 0;
    this.#phase = 'idle';
    this.#lastInput = this.#parts.clock.now();
    if (this.#over) return;
    this._resetSession();
    this.#answer(refusal?.reply ?? '250 2.0.0 Ok: queued');
    if (this.#leaving) this.#end(refuse('shutting_down', 'relay stops'));
  }

  async #hand(transaction: Transaction, message: IncomingMessage): Promise<Refusal | undefined> {
    const outcome = message.outcome();
    if (!Buffer.isBuffer(outcome)) {
      const direction = this.#parts.service === 'smtp' ? 'incoming' : 'outgoing';
      this.#parts.events.messageRefused(direction, this.id, outcome);
      return outcome;
    }
    const envelope = {
      sender: transaction.sender,
      recipients: [...transaction.recipients.values()],
      peer: this.remoteAddress,
      session: this.id,
    };
    try {
      const verdict = await this.#parts.take(envelope, outcome);
      return verdict.accepted ? undefined : verdict.refusal;
    } catch (error) {
      this.#parts.events.fault('smtp take', error);
      return refuse('internal', 'fault while taking a message');
    }
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  /** smtp-server would put the peer's address into the error and throw it at the server. */
  override _onError(error: Error): void {
    this.#parts.events.sessionFailed(this.#parts.service, this.id, error);
    this.destroy();
  }

  override _onClose(): void {
    super._onClose();
    if (this.#over) return;
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
    this.#release();
    this.#parts.closed(this);
  }

  #release(): void {
    this.#message?.release();
    this.#message = undefined;
  }
}

function syntaxRefusal(
  code: 'sender_syntax' | 'recipient_syntax',
  { problem, ...rest }: CommandProblem,
): Refusal {
  const option = 'parameter' in rest ? rest.parameter : '';
  if (problem === 'parameter') return refuse('parameter_unknown', option, { option });
  if (problem === 'value') return refuse('command_arguments', option, { reason: `bad value of ${option}` });
  return refuse(code, problem);
}
