import type { Change } from '../contract.ts';
import type { ReadName, WriteName } from './operations.ts';

/** One request to a thread of the store; `close` asks it to end when it has answered everything before. */
export type Request<Call> = { readonly id: number; readonly call: Call } | { readonly close: true };

export interface WriteCall {
  readonly name: WriteName;
  /** What `writes[name]` takes. */
  readonly argument: unknown;
  /** Bytes of message in it. */
  readonly bytes: number;
}

export interface ReadCall {
  readonly name: ReadName;
  readonly arguments: readonly unknown[];
}

/** `unavailable`: the disk or the database, may pass. `fault`: of ours. */
export type Answer =
  | { readonly id: number; readonly kind: 'done'; readonly value: unknown }
  | { readonly id: number; readonly kind: 'unavailable' | 'fault'; readonly message: string };

/** What a thread posts: first `ready` or `failed`, then answers; those of one transaction come in one piece. */
export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'answers';
      readonly answers: readonly Answer[];
      /** Durable and visible by now; in the order in which they were committed. */
      readonly changes: readonly Change[];
    }
  /** Something went wrong that nobody waits for. */
  | { readonly kind: 'fault'; readonly where: string; readonly message: string };

/** What both threads are started with. */
export interface ThreadData {
  /** Absolute path of the database. */
  readonly path: string;
  /** Directory of the body files. */
  readonly bodies: string;
  readonly quota: number;
  readonly busyTimeout: number;
}
