import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/settings/nearest.ts';
import { table } from '../../src/settings/table.ts';

test('nearest finds the key that was meant', () => {
  const cases = [
    ['max_mailbox_siz', 'max_mailbox_size'],
    ['max_mailboxsize', 'max_mailbox_size'],
    ['mail-domain', 'mail_domain'],
    ['maildomain', 'mail_domain'],
    ['MAIL_DOMAIN', 'mail_domain'],
    ['smtp_prot', 'smtp_port'],
    ['submision_port', 'submission_port'],
    ['submissionss_port', 'submissions_port'],
    ['dns_server', 'dns_servers'],
    ['loglevel', 'log_level'],
    ['username_minlength', 'username_min_length'],
    ['delete_mail_after', 'delete_mails_after'],
    ['passthrough_sender', 'passthrough_senders'],
  ];
  for (const [typed = '', meant] of cases) assert.equal(nearest(typed, Object.keys(table)), meant, typed);
});

test('nearest prefers two letters swapped to two letters replaced, and the first of equals', () => {
  assert.equal(nearest('ab', ['xy', 'ba']), 'ba');
  assert.equal(nearest('a', ['b', 'c']), 'b');
});

test('nearest answers for the empty and for the endless word', () => {
  assert.equal(nearest('', ['abc', 'a']), 'a');
  assert.equal(nearest('x'.repeat(1_000_000), ['abc', 'xxx']), 'xxx');
  assert.equal(nearest('a', []), undefined);
});
