import { createHash } from 'node:crypto';
import type { Random } from '../clock.ts';
import { NAME_LETTERS, SECRET_LETTERS, randomText } from './random-text.ts';

/** Of 62 letters: 131 bits, which nobody guesses and nobody finds from a hash. */
const TOKEN_LENGTH = 22;
const TOKEN = new RegExp(`^[A-Za-z0-9]{${TOKEN_LENGTH}}$`);
/** For people to type; a store takes no id twice. */
const ID_LENGTH = 6;

/** A new token, for the one who is invited, and an id, for the operator. */
export function drawSignUpToken(random: Random): { readonly token: string; readonly id: string } {
  return {
    token: randomText(SECRET_LETTERS, TOKEN_LENGTH, random),
    id: randomText(NAME_LETTERS, ID_LENGTH, random),
  };
}

/** What a store finds the token by; undefined for what cannot be one. Without salt: there is nothing to guess. */
export function hashOfSignUpToken(token: string): string | undefined {
  return TOKEN.test(token) ? createHash('sha256').update(token).digest('hex') : undefined;
}
