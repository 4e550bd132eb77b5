import { randomInt } from 'node:crypto';
import { Binary } from 'mongodb';
import type { ObjectId } from 'mongodb';
import { MAX_INLINE } from './content.ts';
import type { Core } from './core.ts';
import type { MessageDocument, MessageExtra } from './documents.ts';
import { normalized } from './flags.ts';

/**
 * Makes a message that WildDuck's own programs put there one of ours, the first time it is read: its bytes are put
 * together from WildDuck's parts once, and from then on they, and the size, are these. Undefined where it is gone.
 */
export type Adopt = (id: ObjectId) => Promise<MessageDocument | undefined>;

/** WildDuck's own bound on a message (its MAX_ALLOWED_MESSAGE_SIZE). */
const MAX_BYTES = 64 * 1024 * 1024;
/** Put together at the same time: each is in memory whole. */
const AT_ONCE = 2;

export function createAdopt({
  collections,
  files,
  wildduck,
}: Pick<Core, 'collections' | 'files' | 'wildduck'>): Adopt {
  const { messages, users } = collections;
  const underWay = new Map<string, Promise<MessageDocument | undefined>>();
  let lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());

  const adopt: Adopt = async (_id) => {
    const found = await messages.findOne({ _id });
    if (!found || found.teal) return found ?? undefined;
    const { bytes, rest, common } = await rebuilt(wildduck, found);
    const file =
      rest.length > MAX_INLINE
        ? await files.write(rest, { count: 1, magic: randomInt(1, 0x10000) })
        : undefined;
    const teal: MessageExtra = { ...common, ...(file ? { file } : { rest: new Binary(rest) }) };
    const flags = normalized(found.flags);
    const { modifiedCount } = await messages.updateOne(
      { _id, teal: { $exists: false } },
      { $set: { teal, size: bytes.length, flags } },
    );
    // Another process was faster.
    if (modifiedCount === 0 && file) await files.release([file]);
    if (modifiedCount > 0 && bytes.length !== found.size)
      await users.updateOne({ _id: found.user }, { $inc: { storageUsed: bytes.length - found.size } });
    return (await messages.findOne({ _id })) ?? undefined;
  };

  return (id) => {
    const key = id.toHexString();
    const under = underWay.get(key);
    if (under) return under;
    const [lane = Promise.resolve(), ...others] = lanes;
    const adopted = lane.then(() => adopt(id)).finally(() => underWay.delete(key));
    lanes = [...others, adopted.catch(() => {})];
    underWay.set(key, adopted);
    return adopted;
  };
}

/**
 * For who may write nothing: the message as it would be if it were adopted. Its bytes are put together each time, and are
 * in memory whole, so to be asked for one at a time.
 */
export function createForeignView({ collections, wildduck }: Pick<Core, 'collections' | 'wildduck'>): Adopt {
  return async (_id) => {
    const found = await collections.messages.findOne({ _id });
    if (!found || found.teal) return found ?? undefined;
    const { bytes, rest, common } = await rebuilt(wildduck, found);
    const teal: MessageExtra = { ...common, rest: new Binary(rest) };
    return { ...found, teal, size: bytes.length, flags: normalized(found.flags) };
  };
}

/** What WildDuck serves of a message, cut as we keep it. */
async function rebuilt(wildduck: Core['wildduck'], { mimeTree, idate }: MessageDocument) {
  const bytes = await collect(wildduck.rebuild(mimeTree));
  const end = bytes.indexOf('\r\n\r\n');
  const headerSize = end < 0 ? bytes.length : end + 4;
  const head = new Binary(bytes.subarray(0, headerSize));
  return { bytes, rest: bytes.subarray(headerSize), common: { headerSize, saved: idate.getTime(), head } };
}

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
    size += bytes.length;
    if (size > MAX_BYTES) throw new Error('a message of WildDuck is larger than any may be');
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}
