import { randomUUID } from 'node:crypto';
import { open, readdir, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreUnavailable } from '../contract.ts';

/** The directory of big bodies: each file a whole message, named by a row of `body` or by none (an orphan). */
export interface BodyFiles {
  /** Makes the bytes durable under a new name, before any row names it; rejects with StoreUnavailable. */
  write(message: Buffer): Promise<string>;
  /** Removes a file that no row will name. Never rejects: what stays behind is an orphan for the next start. */
  discard(name: string): Promise<void>;
  /** Undefined where it is gone: the message was expunged a moment ago. */
  open(name: string): Promise<FileHandle | undefined>;
  list(): Promise<readonly string[]>;
}

export function createBodyFiles(
  directory: string,
  onFault: (where: string, error: Error) => void,
): BodyFiles {
  const discard = async (name: string) => {
    try {
      await unlink(join(directory, name));
    } catch (error) {
      if (!isMissing(error)) onFault('store body file', asError(error));
    }
  };
  return {
    write: async (message) => {
      // The name has to be unique, no more; .tmp says that it is not whole yet.
      const name = randomUUID();
      const path = join(directory, name);
      try {
        await writeDurably(`${path}.tmp`, message);
        await rename(`${path}.tmp`, path);
        await syncDirectory(directory);
        return name;
      } catch (error) {
        await discard(`${name}.tmp`);
        await discard(name);
        throw unavailable(error);
      }
    },
    discard,
    open: async (name) => {
      try {
        return await open(join(directory, name), 'r');
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw unavailable(error);
      }
    },
    list: () => readdir(directory),
  };
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

/** Makes what was created or renamed in the directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

/** Reads `length` bytes from `position`; rejects with StoreUnavailable where the file ends before. */
export async function readFully(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file
      .read(bytes, filled, length - filled, position + filled)
      .catch((error: unknown) => Promise.reject(unavailable(error)));
    if (bytesRead === 0) throw new StoreUnavailable('a body file is shorter than its row says');
    filled += bytesRead;
  }
  return bytes;
}

function unavailable(error: unknown): StoreUnavailable {
  return new StoreUnavailable(asError(error).message, { cause: error });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
