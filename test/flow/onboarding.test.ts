import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import type { Loaded } from '../../src/settings/load.ts';
import type { Settings } from '../../src/settings/table.ts';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { startSocks } from '../harness/socks.ts';
import { ask } from '../harness/web-client.ts';

/** The relay as the world sees it: its name, and the ports that are open there. */
const worldOf = (relay: TestRelay, ports = usualPorts(relay)) =>
  startSocks(
    new Map(
      Object.entries(ports).map(([port, real]) => [`${relay.settings.mail_domain}:${port}`, real ?? 0]),
    ),
  );
const usualPorts = ({ ports }: TestRelay): Record<number, number | undefined> => ({
  443: ports.https_port,
  // Autoconfig names the ports that are bound, which are unusual here.
  [ports.imaps_port]: ports.imaps_port,
  [ports.submissions_port]: ports.submissions_port,
});

describe('accounts by a name alone, with the newest Delta Chat', { skip: withoutCore('newest') }, () => {
  let relay: TestRelay;
  let core: DeltaChat;
  before(async () => {
    relay = await startTestRelay();
    core = await DeltaChat.start();
  });
  after(async () => {
    await core[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  test('dcaccount:domain: autoconfig leads to unusual ports, the first login makes the account', async () => {
    await using socks = await worldOf(relay);
    const id = await core.accountFromLink(`dcaccount:${relay.domain}`, socks.url);
    await core.rpc('stop_io', id);
    assert.ok(socks.asked.includes(`${relay.domain}:${relay.ports.imaps_port}`), socks.asked.join(' '));
    assert.ok(!socks.asked.some((target) => target.startsWith('autoconfig.thunderbird.net')));
  });

  test('dcaccount:https: the client asks /new, and two who came so find each other', async () => {
    await using socks = await worldOf(relay);
    const link = `dcaccount:https://${relay.domain}/new`;
    const alice = await core.accountFromLink(link, socks.url);
    const bob = await core.accountFromLink(link, socks.url);
    await secureJoin({ core, id: alice }, { core, id: bob });
    await core.rpc('stop_io', alice);
    await core.rpc('stop_io', bob);
  });

  test('443 alone is enough: the client asks for imap and smtp there by ALPN', async () => {
    const https = relay.ports.https_port ?? 0;
    await using socks = await worldOf(relay, { 443: https, [https]: https });
    const id = await core.accountFromLink(`dcaccount:https://${relay.domain}/new`, socks.url);
    await core.rpc('stop_io', id);
  });
});

/** What `teal token add` prints beside the relay. */
async function addToken(settings: Settings, uses: number): Promise<string> {
  const out: string[] = [];
  const code = await runCommandLine(commands, ['token', 'add', '--uses', String(uses)], {
    loadSettings: () => ({ settings, sources: {} as Loaded['sources'], notes: [] }),
    print: (text) => out.push(text),
    printError: (text) => assert.fail(text),
  });
  assert.equal(code, 0);
  return out.join('\n');
}

onEachStore('accounts by invitation, with the newest Delta Chat', withoutCore('newest'), (store) => {
  let relay: TestRelay;
  let core: DeltaChat;
  before(async () => {
    relay = await startTestRelay({ TEAL_REGISTRATION: 'token', TEAL_STORE: store });
    core = await DeltaChat.start();
  });
  after(async () => {
    await core[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  /** The code of an invitation for `uses` accounts, as `teal token add` prints it. */
  async function invitation(uses: number): Promise<string> {
    const out = await addToken({ ...relay.settings, https_port: 443 }, uses);
    const [link] = /^dcaccount:https:\/\/_relay\.test\/new\?token=\w+$/m.exec(out) ?? [];
    assert.ok(link, out);
    return link;
  }

  /** What the app shows where the link gives no account. */
  async function refusalOf(link: string, proxy: string): Promise<string> {
    const id = await core.rpc<number>('add_account');
    await core.rpc('batch_set_config', id, { proxy_url: proxy, proxy_enabled: '1' });
    const refused = await core.rpc('add_transport_from_qr', id, link).then(
      () => assert.fail('there is an account'),
      (error: Error) => error.message,
    );
    await core.rpc('stop_io', id);
    return refused;
  }

  test('two who are invited come in and chat; a third with the same code hears that it is used up', async () => {
    await using socks = await worldOf(relay);
    const link = await invitation(2);
    const alice = await core.accountFromLink(link, socks.url);
    const bob = await core.accountFromLink(link, socks.url);
    const chat = await secureJoin({ core, id: alice }, { core, id: bob });
    const arrives = core.incoming(alice, (text) => text === 'I was invited');
    await core.send(bob, chat, { text: 'I was invited' });
    await arrives;
    assert.match(await refusalOf(link, socks.url), /Your invitation has been used up/);
    assert.deepEqual(
      (await relay.store.signUpTokens.list()).map(({ used }) => used),
      [2],
    );
    for (const id of [alice, bob]) await core.rpc('stop_io', id);
  });

  test('who was not invited does not come in, neither by /new nor by the name alone', async () => {
    await using socks = await worldOf(relay);
    const link = `dcaccount:https://${relay.domain}/new`;
    assert.match(await refusalOf(link, socks.url), /you need an invitation/);
    assert.match(await refusalOf(`${link}?token=x`, socks.url), /does not know your invitation/);
    assert.match(await refusalOf(`dcaccount:${relay.domain}`, socks.url), /failed to login|Cannot login/);
  });
});

test(
  'where Delta Chat would not ask over the certificate, a browser gets a link that leads in',
  { skip: withoutCore('newest') },
  async () => {
    await using relay = await startTestRelay({ TEAL_REGISTRATION: 'token', MAIL_DOMAIN: '192.0.2.7' });
    await using core = await DeltaChat.start();
    await using socks = await worldOf(relay);
    const [, token = ''] = /\?token=(\w+)/.exec(await addToken(relay.settings, 1)) ?? [];
    const port = relay.ports.https_port ?? 0;
    const { text } = await ask(port, 'POST', `/new.html?token=${token}`);
    const [, link = ''] = /href="(dclogin:[^"]+)"/.exec(text) ?? [];
    const id = await core.accountFromLink(link.replaceAll('&amp;', '&'), socks.url);
    await core.rpc('stop_io', id);
  },
);
