import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { drawSignUpToken, hashOfSignUpToken } from '../accounts/sign-up-token.ts';
import { day, hour } from '../clock.ts';
import { newAccountUrl, originAt } from '../http/addresses.ts';
import { systemClock, systemRandom } from '../machine.ts';
import { kindOfMailDomain } from '../settings/mail-domain.ts';
import type { Settings } from '../settings/table.ts';
import { MAX_SIGN_UP_NOTE, MAX_SIGN_UP_TOKENS, tokenRefusal } from '../store/contract.ts';
import type { SignUpToken, SignUpTokens } from '../store/contract.ts';
import { openSignUpTokens } from '../stores.ts';
import { certificateSource } from '../tls/source.ts';
import { UsageError, exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { tellingProblems } from './expected-problem.ts';
import { terminalQr } from './terminal-qr.ts';

/** Accounts of one token, and how long it may last: what is more is a slip of the hand. */
const MAX_USES = 1_000_000;
const LONGEST = 3660 * day;
/** Ids drawn before giving up: there are two thousand million. */
const MAX_DRAWS = 10;

/** `teal token add`: the token is shown, and nowhere kept. */
export function tokenAdd(call: Call): Promise<ExitCode> {
  const uses = usesOf(call);
  const lasts = lifeOf(call);
  const note = noteOf(call);
  return withTokens(call, async (tokens, settings) => {
    const domain = settings.mail_domain;
    if (domain === undefined) throw new Error('there is no mail_domain: set it first');
    const now = systemClock.now();
    const expiresAt = lasts === undefined ? undefined : now + lasts;
    const { token, ...kept } = await keep(tokens, { note, createdAt: now, expiresAt, uses, used: 0 });
    for (const line of noteLines(settings)) call.printError(line);
    call.print(`Token ${kept.id}: ${words(kept, now)}`);
    call.print('Whoever has this can use it. It is shown now, and never again:');
    call.print('');
    const link = newAccountUrl(originAt(domain, settings.https_port ?? 443), token);
    call.print(link);
    const code = isTakenInEarnest(settings, domain) ? `dcaccount:${link}` : link;
    if (code !== link) call.print(code);
    call.print('');
    call.print(terminalQr(code));
    return exitCodes.ok;
  });
}

/** `teal token list` */
export function tokenList(call: Call): Promise<ExitCode> {
  return withTokens(call, async (tokens) => {
    const now = systemClock.now();
    const all = await tokens.list();
    for (const token of all) call.print(`${token.id}: ${words(token, now)}`);
    if (all.length === 0) call.print('There are no tokens.');
    return exitCodes.ok;
  });
}

/** `teal token remove ID...` */
export function tokenRemove(call: Call): Promise<ExitCode> {
  const ids = call.words;
  if (ids.length === 0) throw new UsageError('no ID is given', 'token remove');
  return withTokens(call, async (tokens) => {
    let code: ExitCode = exitCodes.ok;
    for (const id of ids) {
      if (await tokens.remove(id)) {
        call.print(`Token ${id} is removed.`);
        continue;
      }
      call.printError(`teal: there is no token ${id}`);
      code = exitCodes.failure;
    }
    return code;
  });
}

/** Whether Delta Chat asks /new by itself; else the link is for a browser (http/addresses.ts, needsLoginLink). */
function isTakenInEarnest(settings: Settings, mailDomain: string): boolean {
  const kind = kindOfMailDomain(mailDomain);
  const { tls_external_cert_and_key: files, acme_terms_agreed: termsAgreed } = settings;
  return (
    kind === 'private' ||
    (kind === 'name' && certificateSource({ mailDomain, files, termsAgreed }).kind !== 'self-signed')
  );
}

type TokenList = Pick<SignUpTokens, 'add' | 'list' | 'remove'>;

/** Draws a token and keeps what it is known by. */
async function keep(
  tokens: TokenList,
  wanted: Omit<SignUpToken, 'id' | 'hash'>,
): Promise<SignUpToken & { readonly token: string }> {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const { token, id } = drawSignUpToken(systemRandom);
    const hash = hashOfSignUpToken(token);
    if (hash === undefined) break;
    const kept = { ...wanted, id, hash };
    const outcome = await tokens.add(kept);
    if (outcome === 'added') return { ...kept, token };
    if (outcome === 'too-many')
      throw new Error(`there are ${MAX_SIGN_UP_TOKENS} tokens: remove some (teal token list)`);
  }
  throw new TypeError('no id is free');
}

/** What the operator may not have thought of. */
function noteLines(settings: Settings): string[] {
  const closed = existsSync(join(settings.data_dir, 'nocreate'));
  return [
    ...(settings.registration === 'token'
      ? []
      : [
          `note: registration is ${settings.registration}, so no token is asked for: set registration = token`,
        ]),
    ...(closed ? ['note: while the file nocreate is in data_dir, no token makes an account'] : []),
    ...(settings.https_port === undefined ? ['note: https_port is off, so nobody can reach the link'] : []),
  ];
}

function words(token: SignUpToken, now: number): string {
  const { uses, used, expiresAt, note } = token;
  const state = { 'used-up': ', used up', expired: ', expired', unknown: '' }[
    tokenRefusal(token, now) ?? 'unknown'
  ];
  const count = uses === undefined ? `${used} used of any number` : `${used} used of ${uses}`;
  const until = expiresAt === undefined ? 'no expiry' : `until ${utc(expiresAt)}`;
  return `${count}, ${until}${state}${note === '' ? '' : ` (${printable(note)})`}`;
}

/** To the minute: 2026-12-06 10:00 UTC. */
function utc(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Notes may be from another machine; what moves the cursor stays out of the terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}

function usesOf({ flags }: Call): number | undefined {
  const given = String(flags.get('uses') ?? '1');
  if (given === 'any') return undefined;
  const uses = /^[1-9]\d{0,6}$/.test(given) ? Number(given) : Infinity;
  if (uses > MAX_USES)
    throw new UsageError(`--uses takes 1 to ${MAX_USES}, or any; not "${given}"`, 'token add');
  return uses;
}

/** In ms; undefined where it does not expire. */
function lifeOf({ flags }: Call): number | undefined {
  const given = flags.get('expires');
  if (given === undefined) return undefined;
  const [, count, unit] = /^([1-9]\d{0,4})([hdw])$/.exec(String(given)) ?? [];
  const units: Readonly<Record<string, number>> = { h: hour, d: day, w: 7 * day };
  const life = Number(count) * (units[unit ?? ''] ?? NaN);
  if (!(life <= LONGEST))
    throw new UsageError(
      `--expires takes hours, days or weeks, such as 12h, 7d or 4w, up to ten years; not "${given}"`,
      'token add',
    );
  return life;
}

function noteOf({ flags }: Call): string {
  const note = String(flags.get('note') ?? '');
  if (note.length > MAX_SIGN_UP_NOTE)
    throw new UsageError(`--note takes at most ${MAX_SIGN_UP_NOTE} characters`, 'token add');
  return note;
}

/** Opens the tokens of the store that the settings name; a relay may be running on it. */
function withTokens(
  call: Call,
  work: (tokens: TokenList, settings: Settings) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { settings } = call.loadSettings();
  return tellingProblems(call, async () => {
    await using tokens = await openSignUpTokens(settings, {
      onFault: (where, error) => call.printError(`${where}: ${error.message}`),
    });
    return await work(tokens, settings);
  });
}
