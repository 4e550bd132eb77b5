import type { ObjectId } from 'mongodb';
import { day, second } from '../../clock.ts';
import { StoreUnavailable } from '../contract.ts';
import type { Account, AccountId, Accounts } from '../contract.ts';
import type { Core } from './core.ts';
import type { UserDocument } from './documents.ts';
import { accountId, addressOf, objectId, usernameOf } from './ids.ts';
import type { Removal } from './removal.ts';
import { nextUidValidity } from './uid-validity.ts';

/** How long one waits for another process that is making the same account; after that its process has died. */
const MAKING = 10 * second;
const LOOK_AGAIN = 50;
const MAX_ASKED = 1000;

export function createAccounts(core: Core, removal: Removal): Accounts {
  const { collections, clock, wildduck, quota } = core;
  const { users, mailboxes } = collections;
  const making = new Map<string, Promise<{ account: Account; created: boolean }>>();

  const findUsers = async (addresses: readonly string[]) =>
    users
      .find({ unameview: { $in: addresses.map(usernameOf) }, activated: true })
      .project<UserDocument>({ username: 1, password: 1, created: 1, teal: 1 })
      .toArray();
  const find = async (address: string) => {
    const [user] = await findUsers([address]);
    return user && accountOf(user);
  };

  const tryMake = async (address: string, passwordHash: string, now: number) => {
    const uidValidity = await nextUidValidity(collections, now);
    const username = usernameOf(address);
    const id = await wildduck.createUser({ username, passwordHash, uidValidity, quota });
    if (!id) return undefined;
    const today = dayOf(now);
    // Days alone: WildDuck's own field has the millisecond.
    const teal = { createdDay: today, lastLoginDay: today };
    const { value } = await users.findOneAndUpdate(
      { _id: id },
      { $set: { password: passwordHash, created: new Date(today), teal } },
      { returnDocument: 'after' },
    );
    return value ? accountOf(value) : undefined;
  };

  /** Another's half-made account, left behind by a process that died. */
  const clear = async (address: string) => {
    const half = await users.findOne({ unameview: usernameOf(address), activated: false });
    if (!half) return;
    await mailboxes.deleteMany({ user: half._id });
    await core.collections.addresses.deleteMany({ user: half._id });
    await users.deleteOne({ _id: half._id, activated: false });
  };

  const make = async (address: string, passwordHash: string, now: number) => {
    const there = await find(address);
    if (there) return { account: there, created: false };
    const until = clock.now() + MAKING;
    for (let tries = 0; tries < 2;) {
      const account = await tryMake(address, passwordHash, now);
      if (account) return { account, created: true };
      const other = await find(address);
      if (other) return { account: other, created: false };
      if (clock.now() > until) {
        await clear(address);
        tries += 1;
      }
      await new Promise<void>((resolve) => void clock.after(LOOK_AGAIN, resolve));
    }
    throw new StoreUnavailable('an account cannot be made: another process is at it');
  };

  const update = async (id: AccountId, filter: object, set: object) => {
    const _id = objectId(id);
    if (_id) await users.updateOne({ _id, ...filter }, { $set: set });
  };

  return {
    find,
    findMany: async (addresses) => {
      if (addresses.length > MAX_ASKED) throw new RangeError(`more than ${MAX_ASKED} addresses at once`);
      if (addresses.length === 0) return new Map();
      const found = (await findUsers(addresses)).map(accountOf);
      return new Map(found.map((account) => [account.address, account]));
    },
    create: (address, passwordHash, now) => {
      const under = making.get(address);
      if (under) return under.then(({ account }) => ({ account, created: false }));
      const made = make(address, passwordHash, now).finally(() => making.delete(address));
      making.set(address, made);
      return made;
    },
    setPasswordHash: (id, passwordHash) => update(id, {}, { password: passwordHash }),
    touch: async (id, now) => {
      const today = dayOf(now);
      const older = { 'teal.lastLoginDay': { $not: { $gte: today } } };
      await update(id, older, { 'teal.lastLoginDay': today });
    },
    setAcceptsCleartext: (id, accepts) => update(id, {}, { 'teal.acceptsCleartext': accepts }),
    remove: async (id) => {
      const user = objectId(id);
      if (user) await removal.account(user);
    },
    quota: async (id) => {
      const user: ObjectId | undefined = objectId(id);
      const found = user && (await users.findOne({ _id: user }, { projection: { storageUsed: 1 } }));
      return { used: found?.storageUsed ?? 0, limit: quota };
    },
  };
}

const dayOf = (time: number) => Math.floor(time / day) * day;

export function accountOf({ _id, username, password, created, teal }: UserDocument): Account {
  const createdDay = teal?.createdDay ?? dayOf(created.getTime());
  return {
    id: accountId(_id),
    address: addressOf(username),
    passwordHash: password,
    createdDay,
    lastLoginDay: teal?.lastLoginDay ?? createdDay,
    acceptsCleartext: teal?.acceptsCleartext ?? false,
  };
}
