/**
 * What the doctor says of one thing. bad: something that must be is not, and the exit code is 1. warn: something that
 * may hurt, or that cannot be told from here.
 */
export interface Line {
  readonly state: 'ok' | 'warn' | 'bad';
  readonly topic: string;
  readonly text: string;
}

export const ok = (topic: string, text: string): Line => ({ state: 'ok', topic, text });
export const warn = (topic: string, text: string): Line => ({ state: 'warn', topic, text });
export const bad = (topic: string, text: string): Line => ({ state: 'bad', topic, text });

/** Lines for a person and for a bug report, the passwords of URLs out of whatever an error may have said. */
export function linesText(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ topic }) => topic.length));
  return lines
    .map(({ state, topic, text }) => `${state.padEnd(4)}  ${topic.padEnd(width)}  ${withoutSecrets(text)}`)
    .join('\n');
}

/** `mongodb://teal:password@host` → `mongodb://(hidden)@host` */
export function withoutSecrets(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*(?:@[^\s/@]*)*@/gi, '$1(hidden)@');
}
