import type { Transaction } from '../transaction.ts';

/** A command beside a running Teal has no more of a transaction than that. */
type WithDatabase = Pick<Transaction, 'database'>;

interface Pair {
  readonly key: string;
  readonly value: string;
}

export function setValue({ database }: WithDatabase, { key, value }: Pair): void {
  database.run(
    'INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    key,
    value,
  );
}

export function setValueOnce({ database }: WithDatabase, { key, value }: Pair): string {
  database.run('INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING', key, value);
  return database.get<Pair>('SELECT key, value FROM value WHERE key = ?', key)?.value ?? value;
}

/** Whether `was` was there, or nothing where it is undefined. */
export function setValueIf(
  { database }: WithDatabase,
  { key, was, value }: Pair & { readonly was: string | undefined },
): boolean {
  const written =
    was === undefined
      ? database.run('INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING', key, value)
      : database.run('UPDATE value SET value = ? WHERE key = ? AND value = ?', value, key, was);
  return written === 1;
}

/** Whether `value` was there. */
export function removeValueIf({ database }: WithDatabase, { key, value }: Pair): boolean {
  return database.run('DELETE FROM value WHERE key = ? AND value = ?', key, value) === 1;
}

/** A write that costs what every write costs, to know that one is possible. */
export function ping({ database }: Transaction): void {
  database.run("UPDATE counter SET value = 1 - value WHERE name = 'ping'");
}
