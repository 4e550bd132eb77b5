import type { Random } from '../clock.ts';

/** As upstream's `/new` and Delta Chat itself draw names: lower case and digits. */
export const NAME_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** Nothing that a link or a terminal would have to escape. */
export const SECRET_LETTERS = `${NAME_LETTERS}ABCDEFGHIJKLMNOPQRSTUVWXYZ`;

/** Each letter equally likely: bytes past the last whole multiple are thrown away. */
export function randomText(alphabet: string, length: number, random: Random): string {
  const end = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < end && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}
