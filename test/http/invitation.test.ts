import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { drawSignUpToken, hashOfSignUpToken } from '../../src/accounts/sign-up-token.ts';
import { qrSvg } from '../../src/http/site/qr.ts';
import { systemRandom } from '../../src/machine.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { ask } from '../harness/web-client.ts';

/** An invitation to the relay, and what is used of it. */
async function invite({ store }: TestRelay, uses = 1) {
  const { token, id } = drawSignUpToken(systemRandom);
  const hash = hashOfSignUpToken(token) ?? '';
  const kept = { id, hash, note: '', createdAt: Date.now(), expiresAt: undefined, uses, used: 0 };
  assert.equal(await store.signUpTokens.add(kept), 'added');
  return { token, used: async () => (await store.signUpTokens.find(hash))?.used };
}

describe('the web of a relay with registration by token', () => {
  let relay: TestRelay;
  let port: number;
  before(async () => {
    relay = await startTestRelay({ TEAL_REGISTRATION: 'token' });
    port = relay.ports.https_port ?? 0;
  });
  after(() => relay[Symbol.asyncDispose]());

  test('POST /new with a token makes the account, whatever the form of the target, and once', async () => {
    for (const target of ['/new', `https://${relay.domain}/new`, '/cgi-bin/newemail.py']) {
      const { token, used } = await invite(relay);
      const answer = await ask(port, 'POST', `${target}?token=${token}`, { host: relay.domain });
      assert.equal(answer.status, 200, target);
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      assert.equal(answer.headers['cache-control'], 'no-store');
      const { email, password, dclogin_url } = answer.json();
      assert.match(String(email), /^[a-z0-9]{9}@_relay\.test$/);
      assert.match(String(dclogin_url), /^dclogin:/);
      assert.ok(await relay.store.accounts.find(String(email)));
      const login = await relay.login(String(email), String(password));
      assert.ok(login.kind === 'ok' && !login.created, 'it was there before its first login');
      assert.equal(await used(), 1);
      const again = await ask(port, 'POST', `${target}?token=${token}`);
      assert.deepEqual(
        [again.status, again.json()],
        [403, { reason: 'Your invitation has been used up. Please ask for a new one.' }],
      );
    }
  });

  test('without a token, or with one that is none, nobody gets one: not here, and not by a first login', async () => {
    for (const [target, said] of [
      ['/new', /you need an invitation/],
      ['/new?token', /does not know your invitation/],
      ['/new?token=', /does not know your invitation/],
      ['/new?token=a&token=b', /does not know your invitation/],
      [`/new?token=${'x'.repeat(9000)}`, /does not know your invitation/],
      ['/cgi-bin/newemail.py', /you need an invitation/],
    ] as const) {
      const answer = await ask(port, 'POST', target);
      assert.equal(answer.status, 403, target);
      assert.match(String(answer.json()['reason']), said);
      assert.equal(answer.headers['access-control-allow-origin'], '*');
    }
    const login = await relay.login('freshname@_relay.test', 'a password of nobody', { peer: '127.0.0.1' });
    assert.deepEqual(login, { kind: 'refused', reason: 'no account made: registration is by token' });
  });

  test('the home page shows no account, and says what is needed', async () => {
    const { text } = await ask(port, 'GET', '/');
    assert.match(text, /you need an invitation/);
    assert.match(text, /Open the link of your invitation/);
    assert.doesNotMatch(text, /dcaccount:|dclogin:|<svg|Tap the button/);
    const answer = await ask(port, 'GET', '/new');
    assert.deepEqual([answer.status, answer.headers.location], [302, '/']);
    assert.equal((await ask(port, 'GET', '/qr-chatmail-invite-_relay.test.png')).status, 404);
  });

  test('GET shows the invitation, for this visitor alone, and spends nothing', async () => {
    const { token, used } = await invite(relay);
    const link = `dcaccount:https://_relay.test:${port}/new?token=${token}`;
    for (const target of ['/new', '/cgi-bin/newemail.py']) {
      const { status, headers, text } = await ask(port, 'GET', `${target}?token=${token}`);
      assert.equal(status, 200);
      assert.match(text, /<h1>You are invited to _relay\.test<\/h1>/);
      assert.ok(text.includes(`href="${link}"`));
      assert.ok(text.includes(qrSvg(link, 'QR code that makes an account')));
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'.*form-action 'none'/);
      assert.doesNotMatch(policy, /script|unsafe|https?:/);
      assert.doesNotMatch(text, /<script|<iframe|<form|style=|\son\w+=|\{\{|\}\}|undefined/i);
      const loaded = [...text.matchAll(/(?:src|<link[^>]*href)="([^"]*)"/g)].map(([, url]) => url);
      assert.deepEqual(loaded.sort(), ['/icon.svg', '/main.css']);
      const head = await ask(port, 'HEAD', `${target}?token=${token}`);
      assert.deepEqual([head.status, head.text], [200, '']);
    }
    assert.equal(await used(), 0);
    assert.equal((await ask(port, 'OPTIONS', `/new?token=${token}`)).status, 204);
    assert.equal(
      (await ask(port, 'POST', `/new.html?token=${token}`)).headers.location,
      `/new?token=${token}`,
    );
    assert.equal(await used(), 0, 'the app asks for it, not the browser');
    await ask(port, 'POST', `/new?token=${token}`);
    const spent = await ask(port, 'GET', `/new?token=${token}`);
    assert.equal(spent.status, 403);
    assert.match(spent.text, /used up/);
    assert.doesNotMatch(spent.text, /dcaccount:|<svg|You are invited/);
    const wrong = await ask(port, 'GET', '/new?token=%3Cb%3E%22');
    assert.equal(wrong.status, 403);
    assert.doesNotMatch(wrong.text, /<b>|&lt;b/);
  });

  test('the file nocreate beats every token', async () => {
    const { token, used } = await invite(relay);
    const file = join(relay.settings.data_dir, 'nocreate');
    await writeFile(file, '');
    const answer = await ask(port, 'POST', `/new?token=${token}`);
    assert.deepEqual(
      [answer.status, answer.json()],
      [403, { reason: 'This relay does not take new accounts.' }],
    );
    assert.match((await ask(port, 'GET', `/new?token=${token}`)).text, /does not take new accounts/);
    await rm(file);
    assert.equal(await used(), 0);
    assert.equal((await ask(port, 'POST', `/new?token=${token}`)).status, 200);
  });
});

test('a busy relay keeps the use, and says to come again', async () => {
  await using relay = await startTestRelay({ TEAL_REGISTRATION: 'token', TEAL_MAX_NEW_ACCOUNTS: '1' });
  const port = relay.ports.https_port ?? 0;
  const { token, used } = await invite(relay, 5);
  assert.equal((await ask(port, 'POST', `/new?token=${token}`)).status, 200);
  const answer = await ask(port, 'POST', `/new?token=${token}`);
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers['retry-after']) > 0);
  assert.match(String(answer.json()['reason']), /try again/);
  assert.doesNotMatch(answer.text, /authentication/i);
  assert.equal(await used(), 1);
});

test('an open relay needs no token, and leaves one that is given alone', async () => {
  await using relay = await startTestRelay();
  const port = relay.ports.https_port ?? 0;
  const { token, used } = await invite(relay);
  for (const target of ['/new?token=x', `/new?token=${token}`]) {
    assert.equal((await ask(port, 'POST', target)).status, 200);
    const { status, headers } = await ask(port, 'GET', target);
    assert.deepEqual([status, headers.location], [301, `dcaccount:https://_relay.test:${port}/new`]);
  }
  assert.equal(await used(), 0);
});

test('where Delta Chat cannot ask, a button makes the account and shows its login, once', async () => {
  await using relay = await startTestRelay({ TEAL_REGISTRATION: 'token', MAIL_DOMAIN: '192.0.2.7' });
  const port = relay.ports.https_port ?? 0;
  const { token, used } = await invite(relay);
  const page = await ask(port, 'GET', `/new?token=${token}`);
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.text, /dcaccount:|dclogin:|<svg/);
  assert.match(String(page.headers['content-security-policy']), /form-action 'self'/);
  const [, action] = /<form method="post" action="([^"]+)"/.exec(page.text) ?? [];
  assert.equal(action, `/new.html?token=${token}`);
  assert.equal(await used(), 0);

  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const made = await ask(port, 'POST', String(action), form, '');
  assert.equal(made.status, 200);
  assert.equal(made.headers['cache-control'], 'no-store');
  assert.match(String(made.headers['content-security-policy']), /form-action 'none'/);
  const [, address = '', password = ''] = /href="dclogin:([^?"]+)\?p=([^&"]+)&amp;v=1/.exec(made.text) ?? [];
  const login = await relay.login(address, password);
  assert.ok(login.kind === 'ok' && !login.created);
  assert.equal(await used(), 1);
  const again = await ask(port, 'POST', String(action), form, '');
  assert.equal(again.status, 403);
  assert.match(again.text, /used up/);
  assert.doesNotMatch(again.text, /dclogin:/);
  assert.equal((await ask(port, 'GET', String(action))).headers.location, `/new?token=${token}`);
  assert.match((await ask(port, 'GET', '/')).text, /you need an invitation/);
});

test('pages of one’s own: the invitation is theirs where they have one, else ours', async () => {
  await using relay = await startTestRelay({ TEAL_REGISTRATION: 'token', TEAL_WWW_FOLDER: 'www' });
  const port = relay.ports.https_port ?? 0;
  const { token } = await invite(relay);
  const show = () => ask(port, 'GET', `/new?token=${token}`);
  await mkdir(join(relay.dir, 'www', 'src'), { recursive: true });
  await writeFile(join(relay.dir, 'www', 'index.html'), 'mine');
  const ours = await show();
  assert.match(ours.text, /You are invited/);
  assert.match(String(ours.headers['content-security-policy']), /default-src 'none'/);
  assert.equal((await ask(port, 'GET', '/main.css')).status, 200);
  await writeFile(join(relay.dir, 'www', 'src', 'index.md'), '# Mine\n');
  await writeFile(join(relay.dir, 'www', 'src', 'invite.md'), '# Welcome\n\n[in]({{link}})\n');
  const theirs = await show();
  assert.match(theirs.text, /<h1>Welcome<\/h1>\s*<p><a href="dcaccount:https:[^"]+token=\w{22}">in<\/a>/);
  assert.equal(theirs.headers['content-security-policy'], undefined);
});
