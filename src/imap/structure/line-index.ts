const LF = 0x0a;
/** Octets between two counts: a question costs at most two of these, the index a thousandth of the message. */
const STEP = 4096;

/** Counts line feeds between two places of a message, after one pass over it: nested parts do not cost a pass each. */
export interface LineIndex {
  between(start: number, end: number): number;
}

export function createLineIndex(message: Buffer): LineIndex {
  /** Line feeds before each multiple of STEP. */
  const counts = new Uint32Array(Math.floor(message.length / STEP) + 1);
  for (let step = 1; step < counts.length; step += 1)
    counts[step] = (counts[step - 1] ?? 0) + count(message, (step - 1) * STEP, step * STEP);

  const before = (place: number): number => {
    const step = Math.floor(place / STEP);
    return (counts[step] ?? 0) + count(message, step * STEP, place);
  };
  return { between: (start, end) => before(end) - before(start) };
}

function count(message: Buffer, start: number, end: number): number {
  let found = 0;
  for (let at = start; at < end; at += 1) if (message[at] === LF) found += 1;
  return found;
}
