import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trialBanner } from '../../src/trial/banner.ts';
import { inventAccount, loginLink } from '../../src/trial/memory.ts';
import { likedPorts } from '../../src/trial/ports.ts';

const account = { address: 'abcdefghj@_teal.test', password: 'p&ss=w#rd 100%' };
const memory = { ports: likedPorts, accounts: [account] };

test('a link holds all that a client must know, whatever is in the password', () => {
  const link = loginLink(account, '127.0.0.1', likedPorts);
  const [head = '', query = ''] = link.split('?');
  assert.equal(head, 'dclogin:abcdefghj@_teal.test');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(query)), {
    p: account.password,
    v: '1',
    ih: '127.0.0.1',
    ip: '10993',
    is: 'ssl',
    sh: '127.0.0.1',
    sp: '10465',
    ss: 'ssl',
    ic: '3',
  });
  assert.doesNotMatch(link, /\+/, 'a plus would be read as a plus, not as a space');
});

test('the banner says that it is a trial, and shows codes only where a phone can follow them', () => {
  const banner = (lan: boolean) => trialBanner({ memory, host: '192.0.2.7', dataDir: '/data', lan });
  assert.match(banner(false), /THIS IS A TRIAL. Only this machine/);
  assert.match(banner(true), /THIS IS A TRIAL. Whoever reaches 192\.0\.2\.7/);
  assert.match(banner(true), /▀/);
  assert.doesNotMatch(banner(false), /▀/);
  assert.ok(banner(false).includes(loginLink(account, '192.0.2.7', likedPorts)));
});

test('an invented account follows the rules for new ones, and is another each time', () => {
  let seed = 0;
  const random = (bytes: number) => Buffer.alloc(bytes, (seed += 7));
  const first = inventAccount(random);
  assert.match(first.address, /^[a-z0-9]{9}@_teal\.test$/);
  assert.match(first.password, /^[a-z0-9]{22}$/);
  assert.notDeepEqual(first, inventAccount(random));
});
