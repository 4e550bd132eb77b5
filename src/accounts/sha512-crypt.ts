import { hash } from 'node:crypto';

/*
 * SHA-512-crypt, the `$6$` of crypt(3), after Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512" (the step numbers
 * below are his). Upstream's accounts have it. Ours, because npm unixcrypt computes all rounds in one go on the main
 * loop, takes any number of rounds from the string, and errs on passwords of 64 or 128 bytes.
 */

export interface Sha512Crypt {
  readonly rounds: number;
  readonly salt: string;
  /** 86 characters of crypt's own base64. */
  readonly hash: string;
}

const DEFAULT_ROUNDS = 5000;
/** The form allows 999,999,999; upstream's accounts have 5000. This many are a quarter of a second of the main loop. */
const MAX_ROUNDS = 100_000;
/** Rounds between two breaths of the main loop: about 1 ms. */
const ROUNDS_AT_ONCE = 400;

const FORM = /^\$6\$(?:rounds=(\d{4,6})\$)?([./0-9A-Za-z]{0,16})\$([./0-9A-Za-z]{86})$/;

/** The parts of a `$6$` string; undefined where it is none or asks for too many rounds. */
export function parseSha512Crypt(text: string): Sha512Crypt | undefined {
  const [, rounds = String(DEFAULT_ROUNDS), salt, digest] = FORM.exec(text) ?? [];
  if (salt === undefined || digest === undefined || Number(rounds) < 1000 || Number(rounds) > MAX_ROUNDS) {
    return undefined;
  }
  return { rounds: Number(rounds), salt, hash: digest };
}

/**
 * The hash part of crypt(3)'s answer. Runs on the main loop in slices, so that sessions go on meanwhile; `password` must
 * be bounded by the caller: one step takes time by the square of its length.
 */
export async function sha512Crypt(password: Buffer, saltText: string, rounds: number): Promise<string> {
  const salt = Buffer.from(saltText);
  const alternate = sha512([password, salt, password]); // 4 to 8
  const bits: Buffer[] = []; // 11: from the lowest bit of the length up
  for (let length = password.length; length > 0; length >>= 1) bits.push(length & 1 ? alternate : password);
  let digest = sha512([password, salt, stretch(alternate, password.length), ...bits]); // 1 to 12

  const passwords: Buffer[] = Array.from({ length: password.length }, () => password);
  const p = stretch(sha512(passwords), password.length); // 13 to 16
  const salts: Buffer[] = Array.from({ length: 16 + (digest[0] ?? 0) }, () => salt);
  const s = stretch(sha512(salts), salt.length); // 17 to 20

  for (let round = 0; round < rounds; round++) {
    // 21
    const odd = round % 2 === 1;
    const parts = [odd ? p : digest];
    if (round % 3 !== 0) parts.push(s);
    if (round % 7 !== 0) parts.push(p);
    parts.push(odd ? digest : p);
    digest = sha512(parts);
    if (round % ROUNDS_AT_ONCE === ROUNDS_AT_ONCE - 1) await nextTurn();
  }
  return encode(digest);
}

function sha512(parts: readonly Buffer[]): Buffer {
  return hash('sha512', Buffer.concat(parts), 'buffer');
}

/** `block` again and again until there are `length` bytes. */
function stretch(block: Buffer, length: number): Buffer {
  return Buffer.alloc(length, block);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 22: three bytes become four digits, lowest bits first; the bytes of a group lie 21 apart and change places in turn. */
function encode(digest: Buffer): string {
  let text = '';
  for (let group = 0; group < 21; group++) {
    const places = [group, group + 21, group + 42];
    const [a = 0, b = 0, c = 0] = [0, 1, 2].map((nth) => digest[places[(nth + group) % 3] ?? 0] ?? 0);
    text += digits((a << 16) | (b << 8) | c, 4);
  }
  return text + digits(digest[63] ?? 0, 2);
}

function digits(value: number, count: number): string {
  return Array.from({ length: count }, (_, place) => DIGITS[(value >> (6 * place)) & 63]).join('');
}
