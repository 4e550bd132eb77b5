import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { SettingsError, loadSettings, loadTable, place, settingsOf } from '../../src/settings/load.ts';
import type { LoadInput, Loaded } from '../../src/settings/load.ts';
import { optionalSetting, setting } from '../../src/settings/setting.ts';
import { table } from '../../src/settings/table.ts';
import { freeText, wholeNumber } from '../../src/settings/value-types.ts';

const cwd = mkdtempSync(join(tmpdir(), 'teal-settings-'));
after(() => rmSync(cwd, { recursive: true }));

/** A directory of its own for each file, so that tests do not see each other's. */
function directoryWith(files: Record<string, string | Buffer>): string {
  const directory = mkdtempSync(join(cwd, 'case-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return directory;
}

function load(content: string | undefined, env: Record<string, string> = {}): Loaded {
  return loadSettings({
    cwd: directoryWith(content === undefined ? {} : { 'config/chatmail.ini': content }),
    env,
  });
}

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    return error.problems;
  }
  return assert.fail('no SettingsError');
}

test('without file and environment everything is as upstream has it, and there is no mail_domain', () => {
  const { settings, sources, notes } = loadSettings({ cwd, env: { PATH: '/bin' } });
  assert.deepEqual(notes, []);
  assert.ok(Object.values(sources).every(({ kind }) => kind === 'default'));
  assert.deepEqual(settings, {
    mail_domain: undefined,
    dkim_selector_rsa: 'opendkim',
    dkim_selector_ed25519: 'ed25519',
    max_user_send_per_minute: 60,
    max_user_send_burst_size: 10,
    max_user_recipients_per_hour: 10_000,
    max_mailbox_size: 524_288_000,
    max_message_size: 31_457_280,
    delete_mails_after: 20,
    delete_large_after: 7,
    delete_inactive_users_after: 90,
    username_min_length: 9,
    username_max_length: 9,
    password_min_length: 9,
    registration: 'open',
    refuse_automatic_accounts: false,
    max_new_accounts: 1000,
    max_new_accounts_per_network: 100,
    max_load_1m: 5,
    min_available_memory: 209_715_200,
    min_free_disk_space: 1_073_741_824,
    max_imap_connections: 10_000,
    max_smtp_connections: 1000,
    tls_external_cert_and_key: undefined,
    acme_directory: 'https://acme-v02.api.letsencrypt.org/directory',
    acme_terms_agreed: true,
    acme_email: '',
    tls_unverified_domains: [],
    mta_sts: 'report',
    dane: 'report',
    maximal_queue_lifetime: 2,
    listen_address: undefined,
    disable_ipv6: false,
    smtp_port: 25,
    submission_port: 587,
    submissions_port: 465,
    imap_port: 143,
    imaps_port: 993,
    http_port: 80,
    https_port: 443,
    health_port: undefined,
    metrics_port: undefined,
    metrics_address: '127.0.0.1',
    proxy_protocol_from: [],
    dns_servers: [],
    tls_report_address: '',
    imap_compress: false,
    data_dir: join(cwd, 'data'),
    store: 'sqlite',
    mongodb_url: undefined,
    mongodb_database: 'teal',
    redis_url: undefined,
    notifier_url: 'https://notifications.delta.chat/notify',
    log_level: 'info',
    www_folder: '',
    iroh_relay: undefined,
    iroh_upstream: undefined,
    privacy_postal: '',
    privacy_mail: '',
    privacy_pdo: '',
    privacy_supervisor: '',
  });
});

test('the environment wins over the file, the file over the default, and each value knows where it is from', () => {
  const { settings, sources } = load('[params]\nsmtp_port = 2525\nimap_port = 1143\n', {
    TEAL_IMAP_PORT: '2143',
    TEAL_LOG_LEVEL: 'debug',
  });
  assert.deepEqual(
    [settings.smtp_port, settings.imap_port, settings.log_level, settings.imaps_port],
    [2525, 2143, 'debug', 993],
  );
  assert.equal(place(sources.smtp_port), 'config/chatmail.ini:2');
  assert.equal(place(sources.imap_port), 'environment TEAL_IMAP_PORT');
  assert.equal(place(sources.log_level), 'environment TEAL_LOG_LEVEL');
  assert.equal(place(sources.imaps_port), 'default');
});

test('every key can be given in the environment', () => {
  for (const [key, row] of settingsOf(table)) {
    const text = row.default || (row.example ?? '');
    if (text === '') continue;
    const { sources } = load(undefined, { [`TEAL_${key.toUpperCase()}`]: text });
    assert.equal(sources[key as keyof Loaded['sources']].kind, 'environment', key);
  }
});

describe('the file', () => {
  const other = '[params]\nsmtp_port = 2\n';
  const directory = directoryWith({
    'config/chatmail.ini': '[params]\nsmtp_port = 1\n',
    'other.ini': other,
    'third.ini': '[params]\nsmtp_port = 3\n',
    'latin1.ini': Buffer.from('[params]\nprivacy_postal = Stra\xdfe\n', 'latin1'),
    'huge.ini': `[params]\n${'#\n'.repeat(600_000)}`,
  });
  const smtpPort = (input: Omit<LoadInput, 'cwd'>) =>
    loadSettings({ cwd: directory, ...input }).settings.smtp_port;

  test('is what --config names, else what TEAL_CONFIG names, else config/chatmail.ini', () => {
    assert.equal(smtpPort({ configPath: 'third.ini', env: { TEAL_CONFIG: 'other.ini' } }), 3);
    assert.equal(smtpPort({ env: { TEAL_CONFIG: 'other.ini' } }), 2);
    assert.equal(smtpPort({ env: { TEAL_CONFIG: join(directory, 'other.ini') } }), 2);
    assert.equal(smtpPort({ env: { TEAL_CONFIG: '' } }), 1);
    assert.equal(smtpPort({ env: {} }), 1);
  });

  test('must be there when it is named', () => {
    for (const input of [{ configPath: 'no.ini', env: {} }, { env: { TEAL_CONFIG: 'no.ini' } }])
      assert.deepEqual(
        problemsOf(() => smtpPort(input)),
        ['no.ini: there is no such file'],
      );
  });

  test('must be readable text of a sensible size', () => {
    const problem = (configPath: string) => problemsOf(() => smtpPort({ configPath, env: {} }))[0];
    assert.equal(problem('latin1.ini'), 'latin1.ini: is not UTF-8 text');
    assert.equal(problem('huge.ini'), 'huge.ini: is larger than 1048576 bytes');
    assert.equal(problem('config'), 'config: cannot be read (EISDIR)');
  });

  test('may be empty but for its section, and even of that', () => {
    for (const content of ['', '[params]\n', '# nothing\n'])
      assert.equal(load(content).settings.mail_domain, undefined);
  });
});

describe('problems', () => {
  test('are told all at once, each with key, value, range and place', () => {
    const file = [
      '[params]',
      'mail_domain = {mail_domain}',
      'max_mailbox_siz = 500M',
      'max_message_size = lots',
      'smtp_port = 70000',
      'username_min_length = 12',
      'imap_compress = maybe',
      'smtp_port = 25',
      'rubbish',
      'imaps_port = 143',
      'mtail_address = 127.0.0.1',
    ].join('\n');
    const problems = problemsOf(() =>
      load(file, { TEAL_DNS_SERVER: '1.1.1.1', TEAL_LOG_LEVEL: 'loud', TEAL_smtp_port: '25' }),
    );
    const where = 'config/chatmail.ini';
    assert.deepEqual(problems, [
      `${where}:8: smtp_port is set a second time, first in line 5`,
      `${where}:9: expected KEY = VALUE, got "rubbish"`,
      `${where}:3: unknown key max_mailbox_siz, the nearest is max_mailbox_size`,
      'environment TEAL_DNS_SERVER: unknown variable, the nearest is TEAL_DNS_SERVERS',
      'environment TEAL_smtp_port: unknown variable, the nearest is TEAL_SMTP_PORT',
      `${where}:2: mail_domain must be a DNS name with at least one dot (other than ASCII in its xn-- form), the same with an underscore in front, or an IPv4 address, got "{mail_domain}"`,
      `${where}:4: max_message_size must be a number of bytes, or a size such as 30M or 1G, from 65536 to 256M, got "lots"`,
      `${where}:5: smtp_port must be a port from 1 to 65535, or 0 for any free one, got "70000"`,
      `${where}:7: imap_compress must be true or false (also yes/no, on/off, 1/0), got "maybe"`,
      'environment TEAL_LOG_LEVEL: log_level must be fatal, error, warn, info, debug, trace, silent, got "loud"',
      `no name is long and short enough: username_min_length = 12 (${where}:6) is above username_max_length = 9 (default)`,
      `two listeners cannot share a port: imap_port = 143 (default), imaps_port = 143 (${where}:10)`,
    ]);
  });

  test('the store wildduck without a place for its data is one; URLs may hold passwords and are not shown', () => {
    const needs = (env: Record<string, string>) =>
      problemsOf(() => load('[params]\nstore = wildduck\n', env));
    const store = 'store = wildduck (config/chatmail.ini:2)';
    assert.deepEqual(needs({ TEAL_REDIS_URL: 'redis://h' }), [`${store} needs mongodb_url`]);
    assert.deepEqual(needs({}), [`${store} needs mongodb_url`, `${store} needs redis_url`]);
    assert.deepEqual(needs({ TEAL_MONGODB_URL: 'secret@h', TEAL_REDIS_URL: 'redis://h' }), [
      'environment TEAL_MONGODB_URL: mongodb_url must be a mongodb:// or mongodb+srv:// connection string, got something else (not shown)',
    ]);
  });

  test('are in the message of the error, one to a line, with the notes beside', () => {
    const run = () => load('[params]\nsmtp_port = x\nimap_port = y\npassdb_path = /x\n');
    assert.throws(run, (error: SettingsError) => {
      assert.equal(error.message, error.problems.join('\n'));
      assert.equal(error.problems.length, 2);
      assert.match(error.notes.join(), /^config\/chatmail\.ini:4: passdb_path has no meaning in Teal/);
      return true;
    });
  });

  test('count in the file even where the environment has a good value', () => {
    assert.match(
      problemsOf(() => load('[params]\nsmtp_port = x\n', { TEAL_SMTP_PORT: '25' })).join(),
      /:2: smtp_port/,
    );
  });

  test('of a value are not followed by others that compare its default', () => {
    const problems = problemsOf(() => load('[params]\nimap_port = x\nimaps_port = 143\n'));
    assert.equal(problems.length, 1, problems.join('\n'));
  });

  test('an empty value is one where a value is needed', () => {
    for (const key of ['mail_domain', 'smtp_port', 'data_dir', 'notifier_url', 'max_mailbox_size'])
      assert.match(
        problemsOf(() => load(`[params]\n${key} =\n`)).join(),
        new RegExp(`:2: ${key} must be .*, got ""`),
      );
  });

  test('a key that JavaScript knows is as unknown as any', () => {
    for (const key of ['constructor', '__proto__', 'toString'])
      assert.match(
        problemsOf(() => load(`[params]\n${key} = 1\n`)).join(),
        new RegExp(`unknown key ${key}, the nearest`),
      );
  });
});

describe('the environment', () => {
  test('has MAIL_DOMAIN and ACME_EMAIL without the prefix too', () => {
    const { settings, sources } = load(undefined, { MAIL_DOMAIN: 'Chat.Example', ACME_EMAIL: 'a@b.example' });
    assert.equal(settings.mail_domain, 'chat.example');
    assert.equal(settings.acme_email, 'a@b.example');
    assert.equal(place(sources.mail_domain), 'environment MAIL_DOMAIN');
    assert.equal(load(undefined, { TEAL_MAIL_DOMAIN: 'chat.example' }).settings.mail_domain, 'chat.example');
  });

  test('must not say two things about one key', () => {
    const twice = { MAIL_DOMAIN: 'a.example', TEAL_MAIL_DOMAIN: 'b.example' };
    assert.deepEqual(
      problemsOf(() => load(undefined, twice)),
      ['environment TEAL_MAIL_DOMAIN: says something else than MAIL_DOMAIN'],
    );
    const same = { MAIL_DOMAIN: 'a.example', TEAL_MAIL_DOMAIN: 'a.example' };
    assert.equal(load(undefined, same).settings.mail_domain, 'a.example');
  });

  test('an empty variable is not set', () => {
    const { settings, sources } = load('[params]\nmail_domain = a.example\n', {
      MAIL_DOMAIN: '',
      TEAL_SMTP_PORT: '',
      TEAL_NOTHING: '',
    });
    assert.equal(settings.mail_domain, 'a.example');
    assert.equal(sources.smtp_port.kind, 'default');
  });

  test('holds much that is not ours', () => {
    assert.equal(load(undefined, { SMTP_PORT: 'x', TEALEAF: 'x', teal_x: 'x' }).settings.smtp_port, 25);
  });

  test('notes a key without a meaning', () => {
    assert.match(
      load(undefined, { TEAL_MTAIL_ADDRESS: '127.0.0.1' }).notes.join(),
      /TEAL_MTAIL_ADDRESS: mtail_address/,
    );
  });
});

describe('notes', () => {
  test('say what has no effect yet, where it is other than the default', () => {
    const { notes } = load(
      '[params]\ndelete_mails_after = 20\ndelete_large_after = 8\nprivacy_pdo =\ndelete_inactive_users_after = 30\n',
    );
    assert.deepEqual(notes, [
      'config/chatmail.ini:3: delete_large_after has no effect in this version, it is read and checked only',
      'config/chatmail.ini:5: delete_inactive_users_after has no effect in this version, it is read and checked only',
    ]);
  });

  test('say that a message larger than a mailbox is possible', () => {
    assert.match(
      load('[params]\nmax_mailbox_size = 10M\n').notes.join(),
      /max_message_size = 31457280 \(default\) is above max_mailbox_size = 10M \(config\/chatmail\.ini:2\)/,
    );
  });
});

test('a list says which of its parts is wrong, and why', () => {
  assert.throws(
    () => load('[params]\nproxy_protocol_from = 10.0.0.0/8 10.1.2.3/16\n'),
    /:2: proxy_protocol_from must be up to 64 .*: "10\.1\.2\.3\/16" is not the first address of a network of \/16$/,
  );
});

test('port 0 may be given to every listener', () => {
  const { settings } = load(undefined, { TEAL_SMTP_PORT: '0', TEAL_IMAP_PORT: '0' });
  assert.deepEqual([settings.smtp_port, settings.imap_port], [0, 0]);
});

describe('a secret', () => {
  const rows = {
    admin_key: optionalSetting({
      group: 'data',
      type: { ...freeText, allowed: 'at least 5 characters', parse: (text: string) => (text.length >= 5 ? { value: text } : undefined) },
      unset: 'no key',
      example: 'secret',
      secret: true,
      text: 'A key',
    }),
    size: setting({ group: 'data', type: wholeNumber(1, 5), default: '2', text: 'A size' }),
  } as const; // prettier-ignore
  const directory = directoryWith({
    key: 'from a file\n',
    short: 'abc\n',
    'in.ini': '[params]\nadmin_key = xyz\n',
  });
  const loadRows = (env: Record<string, string>, configPath?: string) =>
    loadTable(rows, { cwd: directory, env, configPath });

  test('comes from the environment, or from the file that the environment names', () => {
    assert.equal(loadRows({ TEAL_ADMIN_KEY: 'from here' }).settings.admin_key, 'from here');
    const { settings, sources } = loadRows({ TEAL_ADMIN_KEY_FILE: 'key' });
    assert.equal(settings.admin_key, 'from a file');
    assert.equal(place(sources.admin_key), 'environment TEAL_ADMIN_KEY_FILE');
    assert.equal(loadRows({}).settings.admin_key, undefined);
  });

  test('is in no error', () => {
    const problems = [
      ...problemsOf(() => loadRows({ TEAL_ADMIN_KEY_FILE: 'short' })),
      ...problemsOf(() => loadRows({}, 'in.ini')),
      ...problemsOf(() => loadRows({ TEAL_ADMIN_KEY: 'other one', TEAL_ADMIN_KEY_FILE: 'key' })),
    ];
    assert.deepEqual(problems, [
      'environment TEAL_ADMIN_KEY_FILE: admin_key must be at least 5 characters, got something else (not shown)',
      'in.ini:2: admin_key must be at least 5 characters, got something else (not shown)',
      'environment TEAL_ADMIN_KEY_FILE: says something else than TEAL_ADMIN_KEY',
    ]);
  });

  test('whose file is missing is a problem; what is no secret has no file', () => {
    assert.deepEqual(
      problemsOf(() => loadRows({ TEAL_ADMIN_KEY_FILE: 'no', TEAL_SIZE_FILE: 'key' })),
      [
        'environment TEAL_ADMIN_KEY_FILE: no: there is no such file',
        'environment TEAL_SIZE_FILE: unknown variable, the nearest is TEAL_SIZE',
      ],
    );
  });
});
