import { Binary, ObjectId } from 'mongodb';
import type { Clock } from '../../clock.ts';
import { minute } from '../../clock.ts';
import type { Collections } from './connect.ts';
import type { FileDocument } from './documents.ts';

/** The long part of messages: in WildDuck's file store, each message's own. */
export interface Files {
  /** Keeps the bytes. Durable when it resolves; without a message or plan that names it, it is swept after an hour. */
  write(bytes: Buffer, users: { count: number; magic: number }): Promise<ObjectId>;
  /** More messages of the same bytes (COPY), before they are written: WildDuck's programs count. */
  addUsers(id: ObjectId, users: { count: number; magic: number }): Promise<void>;
  /** Messages that had these are removed: what no message and no plan has any more goes, unless somebody reads it. */
  release(ids: readonly ObjectId[]): Promise<void>;
  /** Opens it for reading, so that it stays until that is over. Undefined where it is gone. */
  open(id: ObjectId): Promise<OpenFile | undefined>;
  /** Removes what nobody has: a crash came before its message, or WildDuck's programs removed that. */
  sweep(): Promise<void>;
}

export interface OpenFile extends AsyncDisposable {
  readonly length: number;
  read(start: number, end: number): Promise<Buffer>;
}

/** What one read brings into memory at least; WildDuck takes any size. */
const CHUNK = 1024 * 1024;
/** Documents of one insert: well below the 48 MB that a command may have. */
const CHUNKS_AT_ONCE = 8;
/** A reader that is not heard of for so long has died. It is renewed at half of it. */
const PINNED = 10 * minute;
/** Long after any message of a file must have been written. */
const YOUNG = 60 * minute;
const SWEEP_SLICE = 500;

export function createFiles({ messages, plans, files, chunks }: Collections, clock: Clock): Files {
  const remove = async (id: ObjectId) => {
    await chunks.deleteMany({ files_id: id });
    await files.deleteOne({ _id: id });
  };
  const isUsed = async (file: ObjectId) =>
    (await messages.findOne({ 'teal.file': file }, { projection: { _id: 1 } })) !== null ||
    (await plans.findOne({ file }, { projection: { _id: 1 } })) !== null;

  const releaseOne = async (id: ObjectId, times: number) => {
    if (await isUsed(id)) {
      const found = await messages.findOne({ 'teal.file': id }, { projection: { magic: 1 } });
      const m = -times * (found?.magic ?? 0);
      await files.updateOne({ _id: id }, { $inc: { 'metadata.c': -times, 'metadata.m': m } });
      return;
    }
    // Marked first, so that either its reader finds the mark when it ends, or we find no reader.
    const { value } = await files.findOneAndUpdate(
      { _id: id },
      { $set: { 'metadata.dead': true } },
      { projection: { metadata: 1 } },
    );
    if (value && !isBeingRead(value)) await remove(id);
  };
  const isBeingRead = ({ metadata: { readers = 0, pinnedUntil } }: FileDocument) =>
    readers > 0 && (pinnedUntil?.getTime() ?? 0) > clock.now();

  return {
    async write(bytes, { count, magic }) {
      const _id = new ObjectId();
      await files.insertOne({
        _id,
        length: bytes.length,
        chunkSize: CHUNK,
        uploadDate: new Date(clock.now()),
        contentType: 'application/octet-stream',
        metadata: { teal: true, c: count, m: count * magic, transferEncoding: '8bit' },
      });
      const step = CHUNK * CHUNKS_AT_ONCE;
      for (let start = 0; start < bytes.length; start += step) {
        const some = bytes.subarray(start, start + step);
        await chunks.insertMany(
          Array.from({ length: Math.ceil(some.length / CHUNK) }, (_, index) => ({
            _id: new ObjectId(),
            files_id: _id,
            n: start / CHUNK + index,
            data: new Binary(some.subarray(index * CHUNK, (index + 1) * CHUNK)),
          })),
        );
      }
      return _id;
    },

    async addUsers(id, { count, magic }) {
      await files.updateOne({ _id: id }, { $inc: { 'metadata.c': count, 'metadata.m': count * magic } });
    },

    async release(ids) {
      const times = new Map<string, { id: ObjectId; times: number }>();
      for (const id of ids) {
        const key = id.toHexString();
        times.set(key, { id, times: (times.get(key)?.times ?? 0) + 1 });
      }
      await Promise.all([...times.values()].map((file) => releaseOne(file.id, file.times)));
    },

    async open(id) {
      const pin = { $set: { 'metadata.pinnedUntil': new Date(clock.now() + PINNED) } };
      const { value } = await files.findOneAndUpdate(
        { _id: id, 'metadata.dead': { $exists: false } },
        { ...pin, $inc: { 'metadata.readers': 1 } },
      );
      if (!value) return undefined;
      let renewed = clock.now();
      let closed: Promise<void> | undefined;
      const close = async () => {
        const after = await files.findOneAndUpdate(
          { _id: id },
          { $inc: { 'metadata.readers': -1 } },
          { returnDocument: 'after' },
        );
        if (after.value?.metadata.dead && !isBeingRead(after.value)) await remove(id);
      };
      return {
        length: value.length,
        async read(start, end) {
          if (clock.now() - renewed > PINNED / 2) {
            renewed = clock.now();
            await files.updateOne(
              { _id: id },
              { $set: { 'metadata.pinnedUntil': new Date(renewed + PINNED) } },
            );
          }
          if (start >= end) return Buffer.alloc(0);
          const first = Math.floor(start / value.chunkSize);
          const last = Math.floor((end - 1) / value.chunkSize);
          const found = await chunks
            .find({ files_id: id, n: { $gte: first, $lte: last } })
            .sort({ n: 1 })
            .toArray();
          if (found.length !== last - first + 1) throw new Error('a part of a message is missing');
          const bytes = Buffer.concat(found.map(({ data }) => data.buffer));
          return bytes.subarray(start - first * value.chunkSize, end - first * value.chunkSize);
        },
        [Symbol.asyncDispose]: () => (closed ??= close()),
      };
    },

    async sweep() {
      const old = new Date(clock.now() - YOUNG);
      const candidates = files
        .find({ 'metadata.teal': true, uploadDate: { $lt: old } })
        .project<FileDocument>({ metadata: 1 })
        .batchSize(SWEEP_SLICE);
      for await (const file of candidates)
        if (!isBeingRead(file) && !(await isUsed(file._id))) await remove(file._id);
    },
  };
}
