import type { Transaction } from '../transaction.ts';

interface Pair {
  readonly key: string;
  readonly value: string;
}

export function setValue({ database }: Transaction, { key, value }: Pair): void {
  database.run(
    'INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    key,
    value,
  );
}

export function setValueOnce({ database }: Transaction, { key, value }: Pair): string {
  database.run('INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING', key, value);
  return database.get<Pair>('SELECT key, value FROM value WHERE key = ?', key)?.value ?? value;
}

/** Whether `was` was there, or nothing where it is undefined. */
export function setValueIf(
  { database }: Transaction,
  { key, was, value }: Pair & { readonly was: string | undefined },
): boolean {
  const written =
    was === undefined
      ? database.run('INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING', key, value)
      : database.run('UPDATE value SET value = ? WHERE key = ? AND value = ?', value, key, was);
  return written === 1;
}

/** A write that costs what every write costs, to know that one is possible. */
export function ping({ database }: Transaction): void {
  database.run("UPDATE counter SET value = 1 - value WHERE name = 'ping'");
}
