import type { ObjectId } from 'mongodb';
import type { Clock } from '../../clock.ts';

/** What a message says of its parts. `adopted` and WildDuck's own messages have parts; those that Teal wrote have none. */
export interface PartsOfMessage {
  readonly magic?: number;
  readonly mimeTree?: { readonly attachmentMap?: Readonly<Record<string, string | ObjectId>> };
  readonly teal?: { readonly file?: ObjectId };
}
/** What to read of a message for it. */
export const partsOfMessage = { magic: 1, 'mimeTree.attachmentMap': 1, 'teal.file': 1 } as const;

/**
 * Messages that WildDuck parsed share their parts by digest, and count who has them: `c` messages, and `m`, the sum of
 * their magic numbers. This takes messages that are gone out of the count; what nobody has is swept (upkeep.ts).
 */
export async function releaseParts(
  files: { updateMany(filter: object, update: object): Promise<unknown> },
  clock: Clock,
  gone: readonly PartsOfMessage[],
): Promise<void> {
  for (const { magic = 0, mimeTree, teal } of gone) {
    // Teal's own file is in the map too, for WildDuck's programs to find; files.ts counts it.
    const parts = Object.values(mimeTree?.attachmentMap ?? {}).filter(
      (id) => String(id) !== String(teal?.file),
    );
    if (parts.length === 0) continue;
    await files.updateMany(
      { _id: { $in: parts } },
      { $inc: { 'metadata.c': -1, 'metadata.m': -magic }, $set: { 'metadata.cu': new Date(clock.now()) } },
    );
  }
}
