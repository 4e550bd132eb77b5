import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { startSocks } from '../harness/socks.ts';

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

  /** The relay as the world sees it: its name, and the ports that are open there. */
  const world = (ports: Record<number, number | undefined>) =>
    startSocks(new Map(Object.entries(ports).map(([port, real]) => [`${relay.domain}:${port}`, real ?? 0])));
  const usual = () => ({
    443: relay.ports.https_port,
    // Autoconfig names the ports that are bound, which are unusual here.
    [relay.ports.imaps_port]: relay.ports.imaps_port,
    [relay.ports.submissions_port]: relay.ports.submissions_port,
  });

  test('dcaccount:domain: autoconfig leads to unusual ports, the first login makes the account', async () => {
    await using socks = await world(usual());
    const id = await core.accountFromLink(`dcaccount:${relay.domain}`, socks.url);
    await core.rpc('stop_io', id);
    assert.ok(socks.asked.includes(`${relay.domain}:${relay.ports.imaps_port}`), socks.asked.join(' '));
    assert.ok(!socks.asked.some((target) => target.startsWith('autoconfig.thunderbird.net')));
  });

  test('dcaccount:https: the client asks /new, and two who came so find each other', async () => {
    await using socks = await world(usual());
    const link = `dcaccount:https://${relay.domain}/new`;
    const alice = await core.accountFromLink(link, socks.url);
    const bob = await core.accountFromLink(link, socks.url);
    await secureJoin({ core, id: alice }, { core, id: bob });
    await core.rpc('stop_io', alice);
    await core.rpc('stop_io', bob);
  });

  test('443 alone is enough: the client asks for imap and smtp there by ALPN', async () => {
    const https = relay.ports.https_port ?? 0;
    await using socks = await world({ 443: https, [https]: https });
    const id = await core.accountFromLink(`dcaccount:https://${relay.domain}/new`, socks.url);
    await core.rpc('stop_io', id);
  });
});
