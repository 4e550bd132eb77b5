import { readFile, readdir, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import type { PortHolder } from './ports.ts';

export interface Program {
  readonly name: string;
  readonly pid: number;
  readonly isTeal: boolean;
}

/** Linux, proc(5): state of a socket that listens. */
const LISTENING = '0A';
/** Processes looked at; a machine with more is not one that a relay has to itself. */
const MAX_PROCESSES = 5000;

/**
 * Who listens on TCP ports of this machine; undefined is a program of another user, which may not be looked at. Empty
 * where there is no /proc.
 */
export async function listeningPrograms(): Promise<ReadonlyMap<number, Program | undefined>> {
  const portOfSocket = new Map<string, number>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const rows = (await readText(file)).split('\n').slice(1);
    for (const row of rows) {
      const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
      if (state === LISTENING)
        portOfSocket.set(`socket:[${inode}]`, Number.parseInt(local.split(':')[1] ?? '', 16));
    }
  }
  const programs = new Map<number, Program | undefined>();
  for (const port of portOfSocket.values()) programs.set(port, undefined);
  const processes = (await entries('/proc')).filter((name) => /^\d+$/.test(name)).slice(0, MAX_PROCESSES);
  for (const pid of processes) {
    for (const fd of await entries(`/proc/${pid}/fd`)) {
      const port = portOfSocket.get(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''));
      if (port !== undefined && programs.get(port) === undefined) programs.set(port, await programOf(pid));
    }
  }
  return programs;
}

async function programOf(pid: string): Promise<Program> {
  const words = (await readText(`/proc/${pid}/cmdline`)).split('\0');
  const isTeal =
    words.some((word) => /(^|\/)(teal(\.mjs)?|src\/main\.ts)$/.test(word)) && words.includes('serve');
  const thread = (await readText(`/proc/${pid}/comm`)).trim();
  // Node calls its first thread so, whatever runs in it.
  const name = thread === 'MainThread' ? basename(words[0] ?? '') : thread;
  return { name: name || 'a program', pid: Number(pid), isTeal };
}

/** Who has the port; where nobody has, whether this user could bind it, tried for a moment. */
export async function holderOf(
  host: string,
  port: number,
  programs: ReadonlyMap<number, Program | undefined>,
): Promise<PortHolder> {
  if (programs.has(port)) return { kind: 'taken', program: programs.get(port) };
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') resolve({ kind: 'denied' });
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT')
        resolve({ kind: 'no address' });
      else resolve({ kind: 'taken', program: undefined });
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve({ kind: 'free' })));
  });
}

/** `ulimit -n` of a process; undefined where the system does not tell. */
export async function fileLimit(pid: number | 'self'): Promise<number | undefined> {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(await readText(`/proc/${pid}/limits`)) ?? [];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Infinity : Number(soft);
}

function readText(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '');
}

function entries(path: string): Promise<string[]> {
  return readdir(path).catch(() => []);
}
