import { compare } from '../move/compare.ts';
import type { Comparison, Counts } from '../move/compare.ts';
import { copyEverything } from '../move/copy.ts';
import { systemClock, systemRandom } from '../machine.ts';
import { table } from '../settings/table.ts';
import { StoreUnavailable } from '../store/contract.ts';
import { openMoveSource, openMoveTarget } from '../stores.ts';
import type { StoreName, StoreParts } from '../stores.ts';
import { exitCodes, UsageError } from './command.ts';
import type { Call, ExitCode } from './command.ts';

/** `teal move --from STORE --to STORE`: copies, then reads both and compares; only then may the target be served. */
export async function move(call: Call): Promise<ExitCode> {
  const [from, to] = [storeNamed(call, 'from'), storeNamed(call, 'to')];
  if (from === to) throw new UsageError('--from and --to are the same store', 'move');
  const { settings } = call.loadSettings();
  const parts: StoreParts = {
    clock: systemClock,
    random: systemRandom,
    onFault: (where, error) => call.printError(`${where}: ${error.message}`),
  };
  try {
    await using source = await openMoveSource(from, settings, parts);
    const domain = (await source.values()).get('domain');
    if (domain === undefined) throw new Error(`no relay was ever served from ${from}: is that where it is?`);
    await using target = await openMoveTarget(to, settings, parts);
    call.print(`Moving ${domain} from ${from} to ${to}. Neither store may be served meanwhile.`);
    const tell = (accounts: number) => call.print(`${accounts} accounts are copied`);
    await copyEverything({ source, target, name: `${domain} in ${from}`, tell });
    call.print('All is copied. Reading both stores to compare them.');
    const comparison = await compare(source, target);
    call.print(report(comparison, from, to));
    if (comparison.differences.length > 0) {
      call.printError(`teal: not the same in both: ${comparison.differences.join(', ')}`);
      call.printError(`teal: was ${from} served meanwhile? Empty ${to} and move again`);
      return exitCodes.failure;
    }
    await target.finish();
    call.print(`Everything is in ${to}: set store = ${to} and start Teal. Nothing in ${from} was changed.`);
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof TypeError || !(error instanceof Error)) throw error;
    call.printError(`teal: cannot move: ${error.message}`);
    if (error instanceof StoreUnavailable)
      call.printError('The same command goes on where this one stopped.');
    return exitCodes.failure;
  }
}

function storeNamed({ flags }: Call, flag: 'from' | 'to'): StoreName {
  const given = flags.get(flag);
  if (typeof given !== 'string') throw new UsageError(`--${flag} STORE is missing`, 'move');
  const store = table.store.type.parse(given, '');
  if (!store) throw new UsageError(`--${flag} must be ${table.store.type.allowed}, got "${given}"`, 'move');
  return store.value;
}

const lines: readonly (readonly [key: keyof Counts, words: string])[] = [
  ['accounts', 'accounts'],
  ['mailboxes', 'mailboxes'],
  ['messages', 'messages'],
  ['bytes', 'bytes in them'],
  ['tokens', 'device tokens'],
  ['pushJobs', 'push jobs'],
  ['queued', 'queued messages'],
  ['queueRows', 'their recipients'],
  ['values', 'values of the relay'],
  ['signUpTokens', 'sign-up tokens'],
];

/** Both sides of each line are read from the stores themselves. */
function report({ source, target }: Comparison, from: string, to: string): string {
  const rows = [
    ['', from, to],
    ...lines.map(([key, words]) => [words, String(source.counts[key]), String(target.counts[key])]),
  ];
  return [
    ...rows.map(
      ([words = '', one = '', other = '']) => words.padEnd(20) + one.padStart(15) + other.padStart(15),
    ),
    `SHA-256 of ${from.padEnd(9)} ${source.checksum}`,
    `SHA-256 of ${to.padEnd(9)} ${target.checksum}`,
  ].join('\n');
}
