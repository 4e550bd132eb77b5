import { day, hour, minute } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../machine.ts';
import type { Queue, WaitingDestination, WaitingRow } from '../store/contract.ts';
import { openQueueListing } from '../stores.ts';
import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { tellingProblems } from './expected-problem.ts';

/** Lines of one listing; what is beyond is told to be there. */
export const MAX_LISTED = 1000;

/** `teal queue [DESTINATION]`: what waits for other relays. Reads the store; a relay may be running on it. */
export function queue(call: Call): Promise<ExitCode> {
  const { settings } = call.loadSettings();
  return tellingProblems(call, async () => {
    await using listing = await openQueueListing(settings, {
      clock: systemClock,
      onFault: (where, error) => call.printError(`${where}: ${error.message}`),
    });
    const [destination] = call.words;
    const lines =
      destination === undefined
        ? await destinationLines(listing, systemClock)
        : await rowLines(listing, destination.toLowerCase(), systemClock);
    for (const line of lines) call.print(line);
    return exitCodes.ok;
  });
}

async function destinationLines(listing: Pick<Queue, 'destinations'>, clock: Clock): Promise<string[]> {
  const found = await listing.destinations(MAX_LISTED + 1);
  if (found.length === 0) return ['Nothing waits.'];
  const now = clock.now();
  const lines = found.slice(0, MAX_LISTED).map((one) => destinationLine(one, now));
  return [...lines, ...more(found.length)];
}

function destinationLine({ destination, rows, oldest, nextDue }: WaitingDestination, now: number): string {
  return `${destination}: ${count(rows)}, the oldest for ${lasting(now - oldest)}, next try ${when(nextDue, now)}`;
}

async function rowLines(listing: Pick<Queue, 'rows'>, destination: string, clock: Clock): Promise<string[]> {
  const found = await listing.rows(destination, MAX_LISTED + 1);
  if (found.length === 0) return [`Nothing waits for ${destination}.`];
  const now = clock.now();
  return [...found.slice(0, MAX_LISTED).flatMap((row) => rowText(row, now)), ...more(found.length)];
}

function rowText(
  { recipient, sender, queuedAt, size, attempts, due, reason }: WaitingRow,
  now: number,
): string[] {
  const tried = attempts === 0 ? 'not tried yet' : `${attempts} ${attempts === 1 ? 'try' : 'tries'} failed`;
  const from = sender === '' ? 'a bounce' : `from ${sender}`;
  return [
    `${recipient}: ${from}, ${size} bytes, waiting for ${lasting(now - queuedAt)}, ${tried}, next try ${when(due, now)}`,
    ...(reason === '' ? [] : [`  ${plain(reason)}`]),
  ];
}

const count = (rows: number) => `${rows} ${rows === 1 ? 'recipient' : 'recipients'}`;
const more = (found: number) => (found > MAX_LISTED ? [`… and more than these ${MAX_LISTED}.`] : []);

/** A row that is due is either being tried or about to be. */
function when(time: number, now: number): string {
  return time <= now ? 'now' : `in ${lasting(time - now)}`;
}

function lasting(ms: number): string {
  const [size, unit] = ms >= 2 * day ? [day, 'd'] : ms >= 2 * hour ? [hour, 'h'] : [minute, 'min'];
  return ms < minute ? `${Math.max(0, Math.round(ms / 1000))} s` : `${Math.round(ms / size)} ${unit}`;
}

/** Other people's words go to a terminal. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
