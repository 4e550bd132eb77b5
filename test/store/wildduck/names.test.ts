import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailboxId } from '../../../src/store/contract.ts';
import { without } from '../../harness/peers.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';
import { bytesOf, headerSize, mailbox, start, text } from '../../contract/fixture.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

describe('names in WildDuck', { skip }, () => {
  test('an address is a username and back; no two are the same to WildDuck, which drops dots and tags', async () => {
    const { addressOf, usernameOf } = await import('../../../src/store/wildduck/ids.ts');
    const addresses = ['ab', 'a.b', 'a..b', 'a=2eb', 'a-b', 'a_b', 'ab+t', '.ab', 'ab=', 'ab=3d'].map(
      (local) => `${local}@example.org`,
    );
    for (const address of addresses) assert.equal(addressOf(usernameOf(address)), address);
    const wildducks = addresses.map((address) => {
      const [local = ''] = usernameOf(address).split('@');
      return local.replaceAll('.', '').replace(/\+.*/, '');
    });
    assert.equal(new Set(wildducks).size, addresses.length);
  });

  test('ids of other stores, or of nothing, are no ids', async () => {
    const { objectId } = await import('../../../src/store/wildduck/ids.ts');
    for (const id of ['', '1', 'nowhere', 'x'.repeat(24), 'A'.repeat(24), 'a'.repeat(25)])
      assert.equal(objectId(id as MailboxId), undefined);
    assert.ok(objectId('0123456789abcdef01234567' as MailboxId));
  });

  test('accounts whose names differ by a dot are two, each with its own mail', async () => {
    await using opened = await openTestWildduck();
    const { store } = opened;
    const names = ['first.last@example.org', 'firstlast@example.org', 'f.irstlast@example.org'];
    for (const address of names) {
      const { account, created } = await store.accounts.create(address, 'hash', start);
      assert.ok(created, address);
      assert.equal(account.address, address);
      const message = text(address);
      await store.accept({
        now: start,
        message,
        headerSize: headerSize(message),
        deliveries: [{ account: account.id, push: false }],
      });
    }
    const found = await store.accounts.findMany(names);
    for (const address of names) {
      const account = found.get(address);
      assert.ok(account);
      const inbox = await mailbox(store, account.id, 'INBOX');
      assert.ok((await bytesOf(store, inbox.id, 1))?.equals(text(address)));
      assert.equal(inbox.uidNext, 2);
    }
  });
});
