import { readFile, writeFile } from 'node:fs/promises';
import type { KeyObject } from 'node:crypto';
import { UnusableKey, dkimRecords, importKey, isSigned, keptKey, readPrivateKey } from '../dkim/keys.ts';
import { recordOf, stringsOf } from '../dkim/record.ts';
import type { DkimRecord } from '../dkim/record.ts';
import { addressDomain } from '../settings/mail-domain.ts';
import type { Settings } from '../settings/table.ts';
import type { Values } from '../store/contract.ts';
import { openValues } from '../stores.ts';
import { table } from '../settings/table.ts';
import { UsageError, exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { tellingProblems } from './expected-problem.ts';

/** `teal dkim show`: the records of the keys that sign. Makes the keys where there are none. */
export function dkimShow(call: Call): Promise<ExitCode> {
  return withKeys(call, async ({ values, domain, selectors }) => {
    for (const line of recordText(await dkimRecords(values, domain, selectors))) call.print(line);
  });
}

/** `teal dkim import [--selector SELECTOR] [--replace] FILE`. */
export function dkimImport(call: Call): Promise<ExitCode> {
  const path = call.words[0];
  if (path === undefined) throw new UsageError('the FILE with the key is missing', 'dkim import');
  return withKeys(call, async ({ values, domain, selectors }) => {
    const pem = await readFile(path, 'utf8');
    const key = readPrivateKey(pem);
    if (typeof key === 'string') throw new UnusableKey(`${path} cannot be imported: ${key}`);
    const type = key.asymmetricKeyType === 'ed25519' ? 'ed25519' : 'rsa';
    const selector = selectorOf(call, 'dkim import') ?? selectors[type];
    const other = type === 'rsa' ? 'ed25519' : 'rsa';
    // It could not sign there, and nothing would be sent any more.
    if (selector === selectors[other])
      throw new UnusableKey(`${path} holds an ${type} key, and dkim_selector_${other} is ${selector}`);
    const outcome = await importKey(values, selector, pem, call.flags.has('replace'));
    if (outcome.kind === 'unusable') throw new UnusableKey(`${path} cannot be imported: ${outcome.problem}`);
    if (outcome.kind === 'taken')
      throw new UnusableKey(
        `selector ${selector} has another key already. Is that one published in DNS? Save it with ` +
          `teal dkim export --selector ${selector} FILE, then import with --replace`,
      );
    call.print(
      outcome.kind === 'same'
        ? `Selector ${selector} has this very key already.`
        : `Selector ${selector} has the key of ${path} now. A relay that is running signs with it within a minute.`,
    );
    if (selector !== selectors[type])
      call.print(`It does not sign: dkim_selector_${type} is ${selectors[type]}.`);
    if (bitsOf(outcome.key) < 2048) call.print(`note: RSA keys should have 2048 bits, this one has fewer`);
    call.print('The record that must be in DNS:');
    for (const line of recordText([recordOf(outcome.key, selector, domain)])) call.print(line);
  });
}

/** `teal dkim export [--selector SELECTOR] [FILE]`: the private key in PEM (PKCS#8). */
export function dkimExport(call: Call): Promise<ExitCode> {
  return withKeys(call, async ({ values, selectors }) => {
    const selector = selectorOf(call, 'dkim export') ?? selectors.rsa;
    const pem = await keptKey(values, selector);
    if (pem === undefined) throw new UnusableKey(`there is no key for selector ${selector}`);
    const path = call.words[0];
    if (path === undefined) return call.print(pem.trimEnd());
    // Nobody else may read it, and what is there is not overwritten.
    await writeFile(path, pem, { mode: 0o600, flag: 'wx' });
    call.print(`The private key of selector ${selector} is in ${path}: whoever reads it can sign as you.`);
  });
}

interface KeyPlace {
  readonly values: Values;
  readonly domain: string;
  readonly selectors: { readonly rsa: string; readonly ed25519: string };
}

/** Opens the keys that the settings name, and tells what goes wrong in one line. */
function withKeys(call: Call, work: (place: KeyPlace) => Promise<void>): Promise<ExitCode> {
  const { settings } = call.loadSettings();
  const open = async () => {
    const domain = signingDomain(settings);
    await using values = await openValues(settings, {
      onFault: (where, error) => call.printError(`${where}: ${error.message}`),
    });
    const selectors = { rsa: settings.dkim_selector_rsa, ed25519: settings.dkim_selector_ed25519 };
    await work({ values, domain, selectors });
    return exitCodes.ok;
  };
  return tellingProblems(call, open, UnusableKey);
}

function signingDomain({ mail_domain: mailDomain }: Settings): string {
  if (mailDomain === undefined) throw new UnusableKey('there is no mail_domain: set it first');
  const domain = addressDomain(mailDomain);
  if (!isSigned(domain))
    throw new UnusableKey(`the relay of ${domain} signs nothing: there is no DNS name for its key`);
  return domain;
}

function selectorOf({ flags }: Call, command: string): string | undefined {
  const given = flags.get('selector');
  if (typeof given !== 'string') return undefined;
  const { type } = table.dkim_selector_rsa;
  const selector = type.parse(given, '');
  if (!selector) throw new UsageError(`--selector must be ${type.allowed}, got "${given}"`, command);
  return selector.value;
}

function bitsOf(key: KeyObject): number {
  return key.asymmetricKeyDetails?.modulusLength ?? Infinity;
}

/** For who has a zone file, and for who has a web form. */
function recordText(records: readonly DkimRecord[]): string[] {
  const quoted = (value: string) => stringsOf(value).map((text) => `"${text}"`);
  return [
    '; for a zone file',
    ...records.map(({ name, value }) => `${name}. IN TXT ${quoted(value).join(' ')}`),
    '',
    '; the same for a form: type TXT, the value in one piece',
    ...records.flatMap(({ name, value }) => [name, value, '']),
  ];
}
