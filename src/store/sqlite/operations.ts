import {
  createAccount,
  removeAccount,
  setAcceptsCleartext,
  setPasswordHash,
  touchAccount,
} from './writes/accounts.ts';
import { copy } from './writes/copy.ts';
import { accept, append } from './writes/deliver.ts';
import { expunge } from './writes/expunge.ts';
import { storeFlags } from './writes/flags.ts';
import {
  createMailbox,
  removeMailbox,
  renameMailbox,
  subscribeMailbox,
  sweepRemoved,
} from './writes/mailboxes.ts';
import { claimRows, freeClaims, keepSignature, renewRows, settleRows } from './writes/queue.ts';
import { addToken, claimJobs, settleJob } from './writes/push-jobs.ts';
import { addSignUpToken, removeSignUpToken, signUp } from './writes/sign-up-tokens.ts';
import { ping, removeValueIf, setValue, setValueIf, setValueOnce } from './writes/values.ts';
import { changedSince, body, expungedSince, headers, knownFiles, messagesByUid } from './reads/messages.ts';
import { snapshot, status } from './reads/mailboxes.ts';
import { accountRows } from './reads/accounts.ts';
import { allSignUpTokens } from './reads/sign-up-tokens.ts';
import { queuedBody, waitingDestinations, waitingRows } from './reads/queue.ts';
import type { Database } from './database.ts';

/** Everything the writer thread can be asked: each takes the transaction and one argument that can be posted. */
export const writes = {
  accept,
  append,
  storeFlags,
  expunge,
  copy,
  createAccount,
  setPasswordHash,
  touchAccount,
  setAcceptsCleartext,
  removeAccount,
  createMailbox,
  removeMailbox,
  renameMailbox,
  subscribeMailbox,
  sweepRemoved,
  addToken,
  claimJobs,
  settleJob,
  claimRows,
  freeClaims,
  keepSignature,
  renewRows,
  settleRows,
  setValue,
  setValueOnce,
  setValueIf,
  removeValueIf,
  addSignUpToken,
  removeSignUpToken,
  signUp,
  ping,
};

/** Everything the reader thread can be asked. */
export const reads = {
  accountRows,
  snapshot,
  status,
  messagesByUid,
  changedSince,
  expungedSince,
  headers,
  body,
  knownFiles,
  queuedBody,
  waitingDestinations,
  waitingRows,
  allSignUpTokens,
};

export type Writes = typeof writes;
export type WriteName = keyof Writes;
export type WriteArgument<Name extends WriteName> = Parameters<Writes[Name]>[1];
export type WriteResult<Name extends WriteName> = ReturnType<Writes[Name]>;

type AfterDatabase<Read> = Read extends (database: Database, ...rest: infer Rest) => unknown ? Rest : never;
export type Reads = typeof reads;
export type ReadName = keyof Reads;
export type ReadArguments<Name extends ReadName> = AfterDatabase<Reads[Name]>;
export type ReadResult<Name extends ReadName> = ReturnType<Reads[Name]>;
