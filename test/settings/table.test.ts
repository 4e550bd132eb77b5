import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadSettings, settingsOf } from '../../src/settings/load.ts';
import { groups } from '../../src/settings/setting.ts';
import { table } from '../../src/settings/table.ts';

const cwd = mkdtempSync(join(tmpdir(), 'teal-table-'));
after(() => rmSync(cwd, { recursive: true }));
mkdirSync(join(cwd, 'config'));

test('each default and example is a value, and the default is written as its type writes it', () => {
  for (const [key, row] of settingsOf(table)) {
    const text = row.default ?? row.example ?? '';
    const read = row.type.parse(text, cwd);
    assert.ok(read, key);
    if (key !== 'data_dir') assert.equal(row.type.format(read.value), text, key);
  }
});

test('the settings stand group by group, in the order of the groups', () => {
  const order = Object.keys(groups);
  const seen = settingsOf(table).map(([, row]) => order.indexOf(row.group));
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

test('the chatmail.ini of a running relay loads, with a note for each key without a meaning here', () => {
  const file = join(cwd, 'config', 'chatmail.ini');
  cpSync(new URL('running-relay.ini', import.meta.url), file);
  const { settings, sources, notes } = loadSettings({ cwd, env: {} });

  assert.deepEqual(
    {
      mail_domain: settings.mail_domain,
      max_user_send_per_minute: settings.max_user_send_per_minute,
      max_user_send_burst_size: settings.max_user_send_burst_size,
      max_mailbox_size: settings.max_mailbox_size,
      max_message_size: settings.max_message_size,
      delete_mails_after: settings.delete_mails_after,
      delete_large_after: settings.delete_large_after,
      delete_inactive_users_after: settings.delete_inactive_users_after,
      username: [settings.username_min_length, settings.username_max_length],
      password_min_length: settings.password_min_length,
      max_load_1m: settings.max_load_1m,
      min_available_memory: settings.min_available_memory,
      min_free_disk_space: settings.min_free_disk_space,
      connections: [settings.max_imap_connections, settings.max_smtp_connections],
      tls: settings.tls_external_cert_and_key,
      www_folder: settings.www_folder,
      disable_ipv6: settings.disable_ipv6,
      acme_email: settings.acme_email,
      iroh_relay: settings.iroh_relay,
      imap_compress: settings.imap_compress,
      privacy_postal: settings.privacy_postal,
      privacy_mail: settings.privacy_mail,
      privacy_pdo: settings.privacy_pdo,
      privacy_supervisor: settings.privacy_supervisor,
    },
    {
      mail_domain: 'chat.example.org',
      max_user_send_per_minute: 80,
      max_user_send_burst_size: 20,
      max_mailbox_size: 1024 ** 3,
      max_message_size: 52_428_800,
      delete_mails_after: 40,
      delete_large_after: 14,
      delete_inactive_users_after: 120,
      username: [6, 12],
      password_min_length: 10,
      max_load_1m: 7.5,
      min_available_memory: 300 * 1024 ** 2,
      min_free_disk_space: 2 * 1024 ** 3,
      connections: [50_000, 500],
      tls: {
        cert: '/etc/letsencrypt/live/chat.example.org/fullchain.pem',
        key: '/etc/letsencrypt/live/chat.example.org/privkey.pem',
      },
      www_folder: join(cwd, 'www'),
      disable_ipv6: true,
      acme_email: 'admin@example.org',
      iroh_relay: 'https://iroh.example.net',
      imap_compress: true,
      privacy_postal: 'Example Mail Ltd.,\n12345 Example Town',
      privacy_mail: 'privacy@example.org',
      privacy_pdo: 'A. Person; 100% reachable = by letter\nunder {this} address',
      privacy_supervisor: '',
    },
  );
  assert.deepEqual(sources.mail_domain, { kind: 'file', file: 'config/chatmail.ini', line: 4 });

  const without = notes.flatMap((note) => /:\d+: (\w+) has no meaning in Teal: \w/.exec(note)?.[1] ?? []);
  assert.deepEqual(without, [
    'passthrough_senders',
    'passthrough_recipients',
    'mtail_address',
    'filtermail_smtp_port',
    'filtermail_smtp_port_incoming',
    'filtermail_http_port_incoming',
    'filtermail_lmtp_port_transport',
    'postfix_reinject_port',
    'postfix_reinject_port_incoming',
    'mailboxes_dir',
    'passdb_path',
    'turn_socket_path',
    'imap_rawlog',
  ]);
  const inert = settingsOf(table).filter(([, row]) => !row.acts);
  assert.ok(notes.length - without.length <= inert.length);
});

test('the example file loads as it is, and gives the defaults with every setting taken in', () => {
  const file = join(cwd, 'config', 'chatmail.ini');
  const example = readFileSync(new URL('../../config/chatmail.example.ini', import.meta.url), 'utf8');
  const defaults = loadSettings({ cwd: tmpdir(), env: {} }).settings;

  writeFileSync(file, example);
  assert.deepEqual(loadSettings({ cwd, env: {} }).notes, []);

  const optional = settingsOf(table).filter(([, row]) => row.default === undefined);
  writeFileSync(file, example.replaceAll(/^#(\w+ =)/gm, '$1'));
  const { settings, sources } = loadSettings({ cwd, env: {} });
  assert.ok(Object.values(sources).every(({ kind }) => kind === 'file'));
  const { data_dir: _, ...same } = {
    ...defaults,
    ...Object.fromEntries(optional.map(([key, row]) => [key, row.example])),
  };
  assert.deepEqual({ ...settings, data_dir: undefined }, { ...same, data_dir: undefined });
});
