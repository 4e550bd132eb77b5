import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_KEYWORDS } from '../../../src/store/contract.ts';
import {
  DELETED,
  pack,
  sameFlags,
  SEEN,
  unpack,
  withFlags,
  withoutFlags,
} from '../../../src/store/sqlite/flags.ts';
import { accountId, mailboxId, rowOf } from '../../../src/store/sqlite/ids.ts';

const flag = fc.constantFrom(
  '\\Seen',
  '\\seen',
  '\\DELETED',
  '\\Draft',
  '\\Recent',
  'a',
  'A',
  'b',
  '$Forwarded',
  '$x',
);
const flags = fc.array(flag, { maxLength: 12 });

/** What is left of a list when case, \Recent and repetition do not count. */
const meant = (list: readonly string[]) =>
  new Set(list.map((name) => name.toLowerCase()).filter((name) => name !== '\\recent'));

test('packing keeps the set of flags, adding is union, removing is difference', () => {
  fc.assert(
    fc.property(flags, flags, (one, other) => {
      const packed = pack(one);
      assert.deepEqual(meant(unpack(packed)), meant(one));
      assert.deepEqual(meant(unpack(withFlags(packed, other))), meant([...one, ...other]));
      assert.deepEqual(
        meant(unpack(withoutFlags(packed, other))),
        new Set([...meant(one)].filter((name) => !meant(other).has(name))),
      );
      assert.ok(sameFlags(pack(unpack(packed)), packed));
      assert.equal(unpack(packed).length, meant(one).size);
    }),
  );
});

test('the bits are those that the database and its indexes know', () => {
  assert.equal(pack(['\\Deleted']).flags, DELETED);
  assert.equal(DELETED, 8, 'the index message_deleted names the bit');
  assert.equal(pack(['\\Seen']).flags, SEEN);
  assert.equal(pack(['\\Answered', '\\Flagged', '\\Draft', '\\Deleted', '\\Seen']).flags, 31);
});

test('an empty name is no keyword, and the bound holds while adding', () => {
  assert.deepEqual(unpack(pack(['', 'x'])), ['x']);
  const many = Array.from({ length: MAX_KEYWORDS }, (_, n) => `k${n}`);
  const full = pack(many);
  assert.deepEqual(withFlags(full, ['one-more']), full);
  assert.deepEqual(unpack(withFlags(withoutFlags(full, ['k0']), ['one-more'])).at(-1), 'one-more');
});

test('ids are opaque outside, and one of another store is nobody’s here', () => {
  assert.equal(rowOf(accountId(17)), 17);
  assert.equal(rowOf(mailboxId(1)), 1);
  for (const id of [
    '',
    '0',
    '-1',
    '01',
    '1.5',
    '1e3',
    ' 1',
    '507f1f77bcf86cd799439011',
    '99999999999999999999',
  ])
    assert.equal(rowOf(accountId(0).replace('0', id) as ReturnType<typeof accountId>), 0, id);
});
