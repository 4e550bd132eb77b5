import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { issue } from '../harness/self-signed.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { ask } from '../harness/web-client.ts';

describe('the web of a relay with a certificate of its own', () => {
  let relay: TestRelay;
  let port: number;
  before(async () => {
    relay = await startTestRelay();
    port = relay.ports.https_port ?? 0;
  });
  after(() => relay[Symbol.asyncDispose]());

  test('POST /new hands out an account that its first login makes, whatever the form of the target', async () => {
    for (const target of ['/new', `https://${relay.domain}/new`, '/new?x=1', '/cgi-bin/newemail.py']) {
      const answer = await ask(port, 'POST', target, { host: relay.domain });
      assert.equal(answer.status, 200, target);
      assert.match(String(answer.headers['content-type']), /^application\/json/);
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      assert.equal(answer.headers['cache-control'], 'no-store');
      const { email, password } = answer.json();
      assert.match(String(email), /^[a-z0-9]{9}@_relay\.test$/);
      assert.match(String(password), /^[A-Za-z0-9]{22}$/);
      const login = await relay.login(String(email), String(password));
      assert.ok(login.kind === 'ok' && login.created);
    }
  });

  test('it comes with a link that takes the certificate and knows the ports', async () => {
    const { email, password, dclogin_url } = (await ask(port, 'POST', '/new')).json();
    const { imaps_port, submissions_port } = relay.ports;
    assert.equal(
      dclogin_url,
      `dclogin:${String(email)}?p=${String(password)}&v=1&ih=_relay.test&sh=_relay.test` +
        `&ip=${imaps_port}&is=ssl&sp=${submissions_port}&ss=ssl&ic=3`,
    );
  });

  test('a web app may ask as well, with a body or without', async () => {
    const before = await ask(port, 'OPTIONS', '/new', { origin: 'https://app.example' });
    assert.equal(before.status, 204);
    assert.equal(before.headers['access-control-allow-methods'], 'POST');
    for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain']) {
      assert.equal((await ask(port, 'POST', '/new', { 'content-type': type }, '{"a":')).status, 200, type);
    }
    const big = await ask(port, 'POST', '/new', { 'content-type': 'text/plain' }, 'x'.repeat(5000));
    assert.equal(big.status, 413);
    assert.equal(typeof big.json()['reason'], 'string');
  });

  test('GET /new leads a browser to the app', async () => {
    const answer = await ask(port, 'GET', '/new');
    assert.deepEqual(
      [answer.status, answer.headers.location],
      [301, `dcaccount:https://_relay.test:${port}/new`],
    );
  });

  test('a closed relay says so in words for a person, and opens again', async () => {
    const file = join(relay.settings.data_dir, 'nocreate');
    await writeFile(file, '');
    const answer = await ask(port, 'POST', '/new');
    assert.equal(answer.status, 403);
    assert.deepEqual(answer.json(), { reason: 'This relay does not take new accounts.' });
    await rm(file);
    assert.equal((await ask(port, 'POST', '/new')).status, 200);
  });

  test('autoconfig names every port, at both of its places', async () => {
    const { ports } = relay;
    for (const target of [
      '/.well-known/autoconfig/mail/config-v1.1.xml',
      '/mail/config-v1.1.xml?emailaddress=a%40_relay.test',
      'https://_relay.test/.well-known/autoconfig/mail/config-v1.1.xml',
    ]) {
      const { status, headers, text } = await ask(port, 'GET', target);
      assert.equal(status, 200, target);
      assert.match(String(headers['content-type']), /^text\/xml/);
      assert.deepEqual(
        [...text.matchAll(/<port>(\d+)<\/port>\s*<socketType>(\w+)/g)].map(([, number, security]) => [
          Number(number),
          security,
        ]),
        [
          [ports.imaps_port, 'SSL'],
          [ports.imap_port, 'STARTTLS'],
          [port, 'SSL'],
          [ports.submissions_port, 'SSL'],
          [ports.submission_port, 'STARTTLS'],
          [port, 'SSL'],
        ],
      );
    }
  });

  test('what there is not is told at once, and nothing else is told', async () => {
    for (const target of [
      '/autodiscover/autodiscover.xml',
      '/.well-known/mta-sts.txt',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/%',
    ]) {
      const answer = await ask(port, 'GET', target);
      assert.ok([400, 404].includes(answer.status), `${target}: ${answer.status}`);
      assert.doesNotMatch(answer.text, /Error|node_modules|\.ts/);
    }
    assert.match((await ask(port, 'GET', '/robots.txt')).text, /Disallow: \//);
  });

  test('www. leads to the one name of the site', async () => {
    const answer = await ask(port, 'GET', '/info.html', { host: 'www._relay.test' });
    assert.deepEqual([answer.status, answer.headers.location], [301, 'https://_relay.test/info.html']);
  });
});

test('a busy relay answers 503, and a login for a new name is not told that its password is wrong', async () => {
  await using relay = await startTestRelay({ TEAL_MIN_FREE_DISK_SPACE: '1000000G' });
  const answer = await ask(relay.ports.https_port ?? 0, 'POST', '/new');
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers['retry-after']) > 0);
  assert.match(String(answer.json()['reason']), /try again/);
  const login = await relay.login('freshname@_relay.test', 'a password of nobody');
  assert.deepEqual(login, {
    kind: 'unavailable',
    reason: 'no account made: the disk is below min_free_disk_space',
  });
});

test('a relay at a bare address hands out links that name it', async () => {
  await using relay = await startTestRelay({ MAIL_DOMAIN: '192.0.2.7' });
  const port = relay.ports.https_port ?? 0;
  const { email, dclogin_url } = (await ask(port, 'POST', '/new')).json();
  assert.match(String(email), /^[a-z0-9]{9}@\[192\.0\.2\.7\]$/);
  assert.match(String(dclogin_url), /&v=1&ih=192\.0\.2\.7&sh=192\.0\.2\.7&.*ic=3$/);
});

test('it does so with a certificate of an authority as well', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'teal-web-'));
  try {
    const pair = await issue('192.0.2.7', await issue('authority.test', undefined, { ca: true }));
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    await writeFile(cert, pair.cert);
    await writeFile(key, pair.key);
    const files = { TEAL_TLS_EXTERNAL_CERT_AND_KEY: `${cert} ${key}` };
    for (const [domain, has] of [
      ['192.0.2.7', true],
      ['chat.test', false],
    ] as const) {
      await using relay = await startTestRelay({ ...files, MAIL_DOMAIN: domain });
      const answer = (await ask(relay.ports.https_port ?? 0, 'POST', '/new')).json();
      assert.equal(typeof answer['dclogin_url'] === 'string', has, domain);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('a closed relay shows no link, and existing accounts go on', async () => {
  await using relay = await startTestRelay({ TEAL_REGISTRATION: 'closed' });
  const port = relay.ports.https_port ?? 0;
  const { text } = await ask(port, 'GET', '/');
  assert.match(text, /This relay does not take new accounts\./);
  assert.doesNotMatch(text, /dcaccount:|<svg/);
  assert.equal((await ask(port, 'POST', '/new')).status, 403);
  assert.equal((await relay.login('freshname@_relay.test', 'a password of nobody')).kind, 'refused');
});

test('over the rate a new name is put off over IMAP and SMTP, in words that blame no password', async () => {
  // Loopback counts as a gateway, so the rate over all is what is seen here.
  await using relay = await startTestRelay({ TEAL_MAX_NEW_ACCOUNTS: '1' });
  assert.equal(
    (await relay.login('firstname@_relay.test', 'a password of one', { peer: '127.0.0.1' })).kind,
    'ok',
  );
  await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
  const answer = await imap.command('LOGIN othername@_relay.test "a password of two"');
  assert.match(answer.text, /^\[UNAVAILABLE\]/);
  assert.doesNotMatch(answer.text, /authentication/i);
  await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
  const reply = await smtp.login('othername@_relay.test', 'a password of two');
  assert.equal(Math.floor(reply.code / 100), 4);
  assert.doesNotMatch(reply.lines.join(), /authentication/i);
});

test('the web can be left out', async () => {
  await using relay = await startTestRelay({ TEAL_HTTP_PORT: 'off', TEAL_HTTPS_PORT: 'off' });
  assert.deepEqual([relay.ports.http_port, relay.ports.https_port], [undefined, undefined]);
});
