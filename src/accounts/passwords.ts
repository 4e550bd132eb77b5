import { pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '../clock.ts';
import { parseSha512Crypt, sha512Crypt } from './sha512-crypt.ts';

/*
 * Hashes are PHC strings, `$pbkdf2-sha256$i=<rounds>$<salt>$<hash>`, base64 without padding: what WildDuck's hashing
 * library (npm @phc/pbkdf2) writes and verifies, so an account can move between the stores with its hash.
 */

/** Bytes of salt: NIST SP 800-132 5.1 asks for 16. */
const SALT_BYTES = 16;
/** The length of SHA-256; another length would cost an attacker less or us more. */
const HASH_BYTES = 32;

/**
 * Rounds by the length of the secret. A round is about 0.12 µs of one core (runtime.md 4).
 * - 22 characters and more: what Delta Chat draws (130 bits) cannot be searched whatever a guess costs, so the rounds
 *   are for the rare person who types a sentence; 1.2 ms keeps a storm of logins after a restart short.
 * - 12 to 21: what `/new` draws (12 of 94 signs, 78 bits), and good passwords of people: WildDuck's number, 12 ms.
 * - below: a person's own, perhaps weak: what OWASP asks of PBKDF2-SHA256, 71 ms.
 * The number tells a thief of the hashes which of the three a password is; those of the first do not suffer from it.
 */
export function wantedRounds(password: string): number {
  const length = [...password].length;
  if (length >= 22) return 10_000;
  if (length >= 12) return 100_000;
  return 600_000;
}

/** A stored hash that asks for more is not computed: 0.25 s of a core; three times what we ever write. */
export const MAX_ROUNDS = 2_000_000;

/** Longer passwords are refused unseen: SHA-512-crypt takes time by the square of the length. In bytes of UTF-8. */
export const MAX_PASSWORD_BYTES = 512;

/** One round of SHA-512-crypt in rounds of PBKDF2-SHA256, for the queue's bound. Measured: 2 to 3 µs. */
const SHA512_CRYPT_WEIGHT = 20;

/** `unreadable`: not a hash that we know, or one that asks for too much work; no password fits it. */
export type PasswordCheck = 'right' | 'right-but-weak' | 'wrong' | 'unreadable';

/** The hash to store for `password`; takes `wantedRounds` of work on a libuv thread. */
export async function hashPassword(password: string, random: Random): Promise<string> {
  const rounds = wantedRounds(password);
  const salt = random(SALT_BYTES);
  const hash = await derive(password, salt, rounds, HASH_BYTES, 'sha256');
  return `$pbkdf2-sha256$i=${rounds}$${unpadded(salt)}$${unpadded(hash)}`;
}

/**
 * Whether `password` fits the stored hash. `right-but-weak` where the hash ought to be renewed: fewer rounds than the
 * password deserves, or the form of upstream's accounts (`{SHA512-CRYPT}$6$…`, with or without the prefix). Takes
 * `checkingCost` of work.
 */
export async function checkPassword(password: string, stored: string): Promise<PasswordCheck> {
  const phc = parsePhc(stored);
  if (phc !== undefined) {
    const hash = await derive(password, phc.salt, phc.rounds, HASH_BYTES, 'sha256');
    if (!timingSafeEqual(hash, phc.hash)) return 'wrong';
    return phc.rounds < wantedRounds(password) ? 'right-but-weak' : 'right';
  }
  const crypt = parseSha512Crypt(withoutScheme(stored));
  if (crypt !== undefined) {
    const hash = Buffer.from(await sha512Crypt(Buffer.from(password), crypt.salt, crypt.rounds));
    const expected = Buffer.from(crypt.hash);
    return hash.length === expected.length && timingSafeEqual(hash, expected) ? 'right-but-weak' : 'wrong';
  }
  return 'unreadable';
}

/** What `checkPassword` will cost for this stored hash, in rounds of PBKDF2-SHA256. */
export function checkingCost(stored: string): number {
  const crypt = parseSha512Crypt(withoutScheme(stored));
  if (crypt !== undefined) return crypt.rounds * SHA512_CRYPT_WEIGHT;
  return parsePhc(stored)?.rounds ?? 0;
}

interface Phc {
  readonly rounds: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** Salt of 8 to 64 bytes, hash of 32; anything else was not written by us or WildDuck. */
const PHC = /^\$pbkdf2-sha256\$i=([1-9]\d{0,6})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43})$/;

function parsePhc(stored: string): Phc | undefined {
  const [, rounds, salt, hash] = PHC.exec(stored) ?? [];
  if (rounds === undefined || salt === undefined || hash === undefined) return undefined;
  if (Number(rounds) > MAX_ROUNDS) return undefined;
  return { rounds: Number(rounds), salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
}

/** Dovecot writes the scheme before the hash (relay.md 2, "Creation"). */
function withoutScheme(stored: string): string {
  return stored.replace(/^\{SHA512-CRYPT\}/i, '');
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

const derive = promisify(pbkdf2);
