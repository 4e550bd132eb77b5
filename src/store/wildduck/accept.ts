import { Binary, ObjectId } from 'mongodb';
import { minute, second } from '../../clock.ts';
import { OverQuota } from '../contract.ts';
import type { Accepted, AccountId, DeliveryOutcome, Outgoing, Plan } from '../contract.ts';
import { contentOf, contentOfPlan } from './content.ts';
import type { Core } from './core.ts';
import type { DatabaseClock } from './database-clock.ts';
import type { Deliver, Delivered } from './deliver.ts';
import type { PlannedDelivery } from './documents.ts';
import { accountId, mailboxId, objectId } from './ids.ts';
import type { Inboxes } from './inboxes.ts';
import { checkRecipients } from './queue-rows.ts';
import type { QueueRows } from './queue-rows.ts';
import type { Content, Prepared } from './wildduck.ts';

export interface AcceptParts {
  readonly core: Core;
  readonly deliver: Deliver;
  readonly inboxes: Inboxes;
  readonly databaseClock: Pick<DatabaseClock, 'toDatabase'>;
  readonly queueRows: Pick<QueueRows, 'write' | 'commit' | 'tidy'>;
  /** Whether nobody may be kept waiting any more. */
  readonly isClosing: () => boolean;
  /** How long a plan is kept for a process that is not heard of, in ms. */
  readonly leaseMs?: number;
  /** A message came for these accounts: answers whether a push job is due now. */
  readonly pushTo: (accounts: readonly AccountId[], now: number) => Promise<boolean>;
}

export interface Acceptance {
  accept(plan: Plan): Promise<Accepted>;
  /** Completes plans whose process died; one slice, true where there may be more. */
  replay(): Promise<boolean>;
}

/** Mailboxes that one plan is written to at the same time: a plan for a thousand leaves others their turn. */
const AT_ONCE = 16;
/** A plan that nobody was at for so long is taken over. Its process takes it anew in a third of that. */
const LEASE = 30 * second;
/** How long a message that is durable already waits for a database that went away, before its sender hears of it. */
const PATIENCE = minute;
const RETRY = 2 * second;

/**
 * A message with one delivery is one document, which a commit makes visible: that is the promise. One with several is
 * first written down as a plan, durable as a whole; then each delivery is done, and done again after a crash. So is one
 * for the queue, whose rows are to be had when the plan is done.
 */
export function createAcceptance(parts: AcceptParts): Acceptance {
  const { core, deliver, inboxes, databaseClock, queueRows, pushTo, isClosing, leaseMs = LEASE } = parts;
  const { collections, clock, tell } = core;
  const { plans, journal } = collections;

  const applyAll = async (
    deliveries: readonly PlannedDelivery[],
    prepared: Prepared,
    now: number,
    again: boolean,
  ): Promise<DeliveryOutcome[]> => {
    const outcomes: DeliveryOutcome[] = [];
    const apply = async (index: number) => {
      const delivery = deliveries[index];
      if (!delivery) return;
      const { id, user, flags } = delivery;
      const inbox = await inboxes.of(user);
      const arrival = { id, prepared, flags, internalDate: now, now };
      const delivered: Delivered = inbox ? await deliver(inbox, arrival, again) : { kind: 'no-account' };
      if (delivered.kind === 'no-account') inboxes.forget(user);
      outcomes[index] =
        delivered.kind === 'delivered' && inbox
          ? { kind: 'delivered', mailbox: mailboxId(inbox), uid: delivered.uid, modseq: delivered.modseq }
          : { kind: delivered.kind === 'over-quota' ? 'over-quota' : 'no-account' };
    };
    let next = 0;
    const lane = async () => {
      while (next < deliveries.length) await apply(next++);
    };
    const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane));
    const failed = lanes.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
    return outcomes;
  };

  /** What comes after the messages: push jobs, then files that fewer have than were meant to. */
  const finish = async (
    deliveries: readonly PlannedDelivery[],
    outcomes: readonly DeliveryOutcome[],
    { file }: Content,
    now: number,
  ) => {
    const pushed = deliveries.filter(({ push }, index) => push && outcomes[index]?.kind === 'delivered');
    const due =
      pushed.length > 0 &&
      (await pushTo(
        pushed.map(({ user }) => accountId(user)),
        now,
      ));
    if (due) await tell([{ kind: 'push' }]);
    const left = outcomes.filter(({ kind }) => kind !== 'delivered').length;
    return file && left > 0 ? () => core.files.release(Array.from({ length: left }, () => file)) : undefined;
  };

  const writePlan = async (
    content: Content,
    deliveries: readonly PlannedDelivery[],
    outgoing: Outgoing | undefined,
    now: number,
  ) => {
    const { size, headerSize, magic, head, rest, file } = content;
    const _id = new ObjectId();
    await plans.updateOne(
      { _id },
      {
        $setOnInsert: {
          fence: 1,
          now,
          size,
          headerSize,
          magic,
          deliveries,
          ...outgoing,
          ...(head ? { head: new Binary(head) } : {}),
          ...(rest ? { message: new Binary(rest) } : {}),
          ...(file ? { file } : {}),
        },
        $currentDate: { at: true },
      },
      { upsert: true },
    );
    return _id;
  };

  /**
   * The plan is durable: it is done, even if the database goes away meanwhile. Where it is not ours any more, `known` is
   * what we had done of it before we tried to say that it is done: that was heard, or another does it anew.
   */
  const insist = async <T>(
    plan: ObjectId,
    task: (again: boolean) => Promise<T>,
    known: () => T | undefined,
  ): Promise<T> => {
    const until = clock.now() + PATIENCE;
    for (let again = false; ; again = true) {
      try {
        return await task(again);
      } catch (error) {
        if (clock.now() > until || isClosing()) throw error;
        await new Promise<void>((resolve) => void clock.after(RETRY, resolve));
        // Still ours: else another process does it, or has done it.
        const { matchedCount } = await plans
          .updateOne({ _id: plan, fence: 1, at: { $exists: true } }, { $currentDate: { at: true } })
          .catch(() => ({ matchedCount: 1 }));
        if (matchedCount > 0) continue;
        const done = known();
        if (done === undefined) throw error;
        return done;
      }
    }
  };

  /** What is left of a plan with recipients elsewhere is the message in the queue; of others nothing. */
  const endPlan = async (plan: ObjectId, fence: number, run: ObjectId | undefined, again: boolean) => {
    if (!run) return void (await plans.deleteOne({ _id: plan }));
    if (!(await queueRows.commit(plan, fence, run))) return;
    await tell([{ kind: 'queue' }]);
    if (again) await queueRows.tidy(plan, run).catch(() => {});
  };

  const accept = async ({ now, message, headerSize, deliveries, outgoing }: Plan): Promise<Accepted> => {
    if (outgoing) checkRecipients(outgoing);
    // The caller's buffer is the caller's when this returns, before anything is written.
    const bytes = Buffer.from(message);
    const planned = deliveries.map(({ account, push, flags = [] }) => ({
      id: new ObjectId(),
      user: objectId(account) ?? new ObjectId(),
      push,
      flags,
    }));
    const known = await inboxes.ofMany(planned.map(({ user }) => user));
    if (known === 0 && !outgoing) return { deliveries: planned.map(() => ({ kind: 'no-account' })) };
    const content = await contentOf(core, bytes, headerSize, planned.length + (outgoing ? 1 : 0));
    const prepared = await core.wildduck.prepare(content);
    const single = planned.length === 1 && !outgoing;
    const plan = single ? undefined : await writePlan(content, planned, outgoing, now);
    let done: { applied: DeliveryOutcome[]; after: (() => Promise<void>) | undefined } | undefined;
    const work = async (again: boolean) => {
      const run = plan && outgoing && (await queueRows.write(plan, outgoing, now));
      const applied = await applyAll(planned, prepared, now, again);
      done = { applied, after: await finish(planned, applied, content, now) };
      if (plan && run) await endPlan(plan, 1, run, again);
      return done;
    };
    const failed = async (error: unknown) => {
      if (content.file && !plan) await core.files.release([content.file]).catch(() => {});
      throw error;
    };
    const { applied, after } = await (plan ? insist(plan, work, () => done) : work(false)).catch(failed);
    if (plan && !outgoing) await endPlan(plan, 1, undefined, false);
    await after?.();
    if (
      !outgoing &&
      !applied.some(({ kind }) => kind === 'delivered') &&
      applied.some(({ kind }) => kind === 'over-quota')
    )
      throw new OverQuota('no account has room for the message');
    return { deliveries: applied };
  };

  /** A message that came, and was removed since: it does not come again. The journal knows those of three hours. */
  const wasThere = async ({ id, user }: PlannedDelivery) => {
    const inbox = await inboxes.of(user);
    const entry =
      inbox &&
      (await journal.findOne({ mailbox: inbox, modseq: { $gt: 0 }, command: 'EXISTS', message: id }));
    if (!entry) return false;
    const mailbox = await collections.mailboxes.findOne({ _id: inbox }, { projection: { modifyIndex: 1 } });
    return (mailbox?.modifyIndex ?? 0) >= entry.modseq;
  };

  const replay = async (): Promise<boolean> => {
    const old = new Date(databaseClock.toDatabase(clock.now()) - leaseMs);
    const left = await plans.findOne({ at: { $lt: old } }, { projection: { fence: 1 } });
    if (!left) return false;
    const { value } = await plans.findOneAndUpdate(
      { _id: left._id, fence: left.fence },
      { $currentDate: { at: true }, $inc: { fence: 1 } },
      { returnDocument: 'after' },
    );
    // Another was faster: there may be more.
    if (!value) return true;
    const content = contentOfPlan(value);
    const prepared = await core.wildduck.prepare(content);
    const { sender, recipients, deliveries = [] } = value;
    const run =
      sender !== undefined && recipients
        ? await queueRows.write(value._id, { sender, recipients }, value.now)
        : undefined;
    const open: PlannedDelivery[] = [];
    for (const delivery of deliveries) if (!(await wasThere(delivery))) open.push(delivery);
    const outcomes = await applyAll(open, prepared, value.now, true);
    // For all: whether the jobs were made is not known.
    const all = deliveries.map(
      (delivery) => outcomes[open.indexOf(delivery)] ?? { kind: 'delivered' as const },
    );
    const after = await finish(deliveries, all as DeliveryOutcome[], content, value.now);
    await endPlan(value._id, value.fence, run, true);
    await after?.();
    return true;
  };

  return { accept, replay };
}
