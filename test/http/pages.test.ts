import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { crc32, inflateSync } from 'node:zlib';
import type { Addresses } from '../../src/http/addresses.ts';
import { qrPng, qrSvg } from '../../src/http/site/qr.ts';
import { renderMarkdown } from '../../src/http/site/template.ts';
import { commonValues, linkValues } from '../../src/http/site/values.ts';
import { without } from '../harness/peers.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { ask } from '../harness/web-client.ts';

describe('the pages that come with Teal', () => {
  let relay: TestRelay;
  let port: number;
  before(async () => {
    relay = await startTestRelay({
      TEAL_MAX_MESSAGE_SIZE: '20M',
      TEAL_PRIVACY_MAIL: 'privacy@example.org',
      TEAL_PRIVACY_POSTAL: 'Dana <Example>\nSample Street 1',
    });
    port = relay.ports.https_port ?? 0;
  });
  after(() => relay[Symbol.asyncDispose]());

  const pages = ['/', '/index.html', '/info.html', '/privacy.html', '/invite.html'];

  test('are whole, speak of this relay, and leave no place unfilled', async () => {
    for (const page of pages) {
      const { status, text, headers } = await ask(port, 'GET', page);
      assert.equal(status, 200, page);
      assert.match(String(headers['content-type']), /^text\/html; charset=utf-8/);
      assert.match(text, /^<!doctype html>/);
      assert.match(text, /_relay\.test/);
      assert.doesNotMatch(text, /\{\{|\}\}|%7B%7B|undefined|NaN/, page);
    }
    const info = (await ask(port, 'GET', '/info.html')).text;
    assert.match(info, /20 MB/);
    assert.match(info, new RegExp(`${relay.ports.imaps_port} \\(TLS\\)`));
  });

  test('need no script and nothing from elsewhere, and the browser is told so', async () => {
    for (const page of pages) {
      const { text, headers } = await ask(port, 'GET', page);
      assert.doesNotMatch(text, /<script|<iframe|<form|style=|\son\w+=/i, page);
      const loaded = [...text.matchAll(/(?:src|<link[^>]*href)="([^"]*)"/g)].map(([, url]) => url);
      assert.deepEqual(loaded.sort(), ['/icon.svg', '/main.css'], page);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'/);
      assert.doesNotMatch(policy, /script|unsafe|https?:/);
      for (const url of loaded) assert.equal((await ask(port, 'GET', String(url))).status, 200, url);
    }
    assert.doesNotMatch((await ask(port, 'GET', '/main.css')).text, /url\(|@import/);
  });

  test('link to nothing that is not there', async () => {
    for (const page of pages) {
      const { text } = await ask(port, 'GET', page);
      for (const [, target] of text.matchAll(/<a[^>]*href="(\/[^"]*)"/g)) {
        assert.equal((await ask(port, 'GET', String(target))).status, 200, `${target} on ${page}`);
      }
    }
  });

  test('show the link that makes an account, and its code', async () => {
    const link = `dcaccount:https://_relay.test:${port}/new`;
    const { text, headers } = await ask(port, 'GET', '/');
    assert.ok(text.includes(`href="${link}"`));
    assert.ok(text.includes(qrSvg(link, 'QR code that makes an account')));
    assert.equal(headers['cache-control'], 'max-age=300');
    const png = await ask(port, 'GET', '/qr-chatmail-invite-_relay.test.png');
    assert.equal(png.headers['content-type'], 'image/png');
    assert.deepEqual(png.body, qrPng(link));
  });

  test('name who is responsible for privacy, as text, and leave out who is not set', async () => {
    const { text } = await ask(port, 'GET', '/privacy.html');
    assert.match(text, /Dana &lt;Example&gt;<br>Sample Street 1/);
    assert.match(text, /href="mailto:privacy@example\.org"/);
    assert.doesNotMatch(text, /Supervisory authority</);
  });

  test('are found by their old name, too', async () => {
    const answer = await ask(port, 'GET', '/policy.html');
    assert.deepEqual([answer.status, answer.headers.location], [301, '/privacy.html']);
  });

  test('show none of the files that are not pages', async () => {
    for (const target of [
      '/index.md',
      '/../source.ts',
      '/..%2fsource.ts',
      '/.%2e/site/page.ts',
      '/main.css/x',
    ]) {
      assert.equal((await ask(port, 'GET', target)).status, 404, target);
    }
  });
});

test('at a bare address each visitor gets a login of his own, which works', async () => {
  await using relay = await startTestRelay({ MAIL_DOMAIN: '192.0.2.7' });
  const port = relay.ports.https_port ?? 0;
  const visit = async () => {
    const { text, headers } = await ask(port, 'GET', '/');
    assert.equal(headers['cache-control'], 'no-store');
    return /href="dclogin:([^?"]+)\?p=([^&"]+)&amp;v=1&amp;ih=192\.0\.2\.7/.exec(text) ?? [];
  };
  const [, address = '', password = ''] = await visit();
  assert.notEqual((await visit())[1], address);
  assert.equal((await relay.login(address, password)).kind, 'ok');
  assert.equal((await ask(port, 'GET', '/new')).headers.location, '/');
  assert.equal((await ask(port, 'GET', '/qr-chatmail-invite-192.0.2.7.png')).status, 404);
  await writeFile(join(relay.settings.data_dir, 'nocreate'), '');
  assert.match((await ask(port, 'GET', '/')).text, /does not take new accounts/);
});

describe('www_folder', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'teal-www-'));
    await mkdir(join(dir, 'built', 'src'), { recursive: true });
    await writeFile(
      join(dir, 'built', 'src', 'index.md'),
      '# Hello {{domain}}\n\n[go]({{link}}) {{nothing}}\n',
    );
    await writeFile(join(dir, 'built', 'src', 'about.md'), '# About\n');
    await writeFile(join(dir, 'built', 'src', 'logo.png'), 'logo');
    await mkdir(join(dir, 'plain', '.git'), { recursive: true });
    await mkdir(join(dir, 'plain', 'sub'));
    await writeFile(join(dir, 'plain', 'index.html'), '<script>mine()</script>');
    await writeFile(join(dir, 'plain', 'sub', 'a.txt'), 'a');
    await mkdir(join(dir, 'plain', 'help'));
    await writeFile(join(dir, 'plain', 'help', 'index.html'), 'helpful');
    await writeFile(join(dir, 'plain', '.git', 'secret.txt'), 'secret');
    await writeFile(join(dir, 'secret.txt'), 'secret');
    await symlink(join(dir, 'secret.txt'), join(dir, 'plain', 'link.txt'));
  });
  after(() => rm(dir, { recursive: true }));

  test('with src/index.md, its Markdown becomes pages and its files are there', async () => {
    await using relay = await startTestRelay({ TEAL_WWW_FOLDER: join(dir, 'built') });
    const port = relay.ports.https_port ?? 0;
    const { text } = await ask(port, 'GET', '/');
    assert.match(text, /<h1>Hello _relay\.test<\/h1>/);
    assert.match(text, /href="dcaccount:https:\/\/_relay\.test:\d+\/new"/);
    assert.match(text, /\{\{nothing\}\}/, 'a name that is nothing stays to be seen');
    assert.match((await ask(port, 'GET', '/about.html')).text, /<title>About · _relay\.test/);
    assert.equal((await ask(port, 'GET', '/logo.png')).text, 'logo');
    assert.equal((await ask(port, 'GET', '/main.css')).status, 200, 'our style unless there is another');
    assert.equal((await ask(port, 'GET', '/info.html')).status, 404);
    await writeFile(join(dir, 'built', 'src', 'about.md'), '# Changed\n');
    assert.match((await ask(port, 'GET', '/about.html')).text, /Changed/);
  });

  test('else it is served as it is, and nothing outside of it', async () => {
    await using relay = await startTestRelay({ TEAL_WWW_FOLDER: join(dir, 'plain') });
    const port = relay.ports.https_port ?? 0;
    const { text, headers } = await ask(port, 'GET', '/');
    assert.equal(text, '<script>mine()</script>');
    assert.equal(headers['content-security-policy'], undefined, 'what it needs its owner knows');
    assert.equal((await ask(port, 'GET', '/sub/a.txt')).text, 'a');
    assert.equal((await ask(port, 'GET', '/help/?lang=en')).text, 'helpful');
    const folder = await ask(port, 'GET', '/help');
    assert.deepEqual([folder.status, folder.headers['location']], [301, '/help/']);
    assert.equal((await ask(port, 'GET', '/index.html')).status, 200);
    for (const target of [
      '/link.txt',
      '/.git/secret.txt',
      '/..%2fsecret.txt',
      '/sub',
      '/sub/',
      '//help',
      '/../plain/help',
      '/%00',
      '/sub%2f..%2f..%2fsecret.txt',
    ]) {
      assert.notEqual((await ask(port, 'GET', target)).status, 200, target);
    }
    assert.equal((await ask(port, 'POST', '/new')).status, 200, 'routes come first');
  });

  test('where it is not there, there is no site', async () => {
    await using relay = await startTestRelay({ TEAL_WWW_FOLDER: join(dir, 'absent') });
    const port = relay.ports.https_port ?? 0;
    assert.equal((await ask(port, 'GET', '/')).status, 404);
    assert.equal((await ask(port, 'POST', '/new')).status, 200);
  });
});

test('templates fill text in, escaped, and keep sections by what is there', () => {
  const source =
    'a {{text}}\n{{#there}}\nyes\n{{/there}}\n{{^there}}\nno\n{{/there}}\n{{#empty}}\nnever\n{{/empty}}\n';
  const html = renderMarkdown(source, { text: '<b>&"', there: { html: '<i>' }, empty: '' });
  assert.match(html, /a &lt;b&gt;&amp;&quot;/);
  assert.match(html, /yes/);
  assert.doesNotMatch(html, /no$|never/m);
  assert.doesNotMatch(renderMarkdown('{{a}}', { a: undefined }), /a/);
  // Upstream's spelling.
  const link =
    '[{{ config.mail_domain }}](https://{{config.mail_domain}}/x/{{ mail_domain }}) {{ config.none }}';
  assert.match(
    renderMarkdown(link, { mail_domain: 'a.b' }),
    /<a href="https:\/\/a\.b\/x\/a\.b">a\.b<\/a> \{\{none\}\}/,
  );
});

test('docs/pages.md names all that pages may name, and nothing else', async () => {
  const page = await readFile(new URL('../../docs/pages.md', import.meta.url), 'utf8');
  const named = new Set(
    [...page.matchAll(/^\| `\{\{.*?\|/gm)].flatMap(([cell]) => cell.match(/\w+(?=\}\})/g) ?? []),
  );
  const addresses: Addresses = {
    host: 'relay.example',
    isIpv4: false,
    certificateIsPublic: () => true,
    ports: () => ({
      imaps_port: 993,
      imap_port: 143,
      submissions_port: 465,
      submission_port: 587,
      https_port: 443,
    }),
  };
  const facts = {
    maxMessageSize: 1,
    maxMailboxSize: 1,
    notifierUrl: '',
    privacyMail: '',
    privacyPostal: '',
    privacyPdo: '',
    privacySupervisor: '',
  };
  const there = Object.keys({ ...commonValues(addresses, facts), ...linkValues('x'), by_invitation: '' });
  assert.deepEqual([...named].sort(), there.sort());
});

test('the PNG is one by its own checks', () => {
  const png = qrPng('dcaccount:https://relay.example/new');
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  const side = png.readUInt32BE(16);
  assert.ok(side >= 384 && side === png.readUInt32BE(20));
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const body = png.subarray(at + 4, at + 8 + length);
    assert.equal(png.readUInt32BE(at + 8 + length), crc32(body));
    if (body.toString('latin1', 0, 4) === 'IDAT')
      assert.equal(inflateSync(body.subarray(4)).length, side * (1 + Math.ceil(side / 8)));
    at += 12 + length;
  }
});

test('a scanner reads the code that is printed', { skip: without('zbarimg') }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'teal-qr-'));
  for (const link of [
    'dcaccount:https://relay.example/new',
    `dclogin:a@[192.0.2.7]?p=${'x'.repeat(120)}&v=1`,
  ]) {
    await writeFile(join(dir, 'qr.png'), qrPng(link));
    const { stdout } = spawnSync('/usr/bin/zbarimg', ['--raw', '-q', join(dir, 'qr.png')]);
    assert.equal(stdout.toString().trim(), link);
  }
  await rm(dir, { recursive: true });
});
