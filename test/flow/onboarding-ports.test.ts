import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import type { CoreVersion } from '../harness/delta-chat.ts';
import { startTestRelay, testDomain } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { startSocks } from '../harness/socks.ts';
import type { Socks } from '../harness/socks.ts';

/** What of the relay a network lets through: ports as clients name them, and where they are. */
const networkOf = (ports: Readonly<Record<number, number | undefined>>) =>
  startSocks(new Map(Object.entries(ports).map(([port, real]) => [`${testDomain}:${port}`, real ?? 0])));

/** The ports of the relay's name that were asked for, in order, each once. */
const askedOf = ({ asked }: Socks) =>
  [...new Set(asked)]
    .filter((target) => target.startsWith(`${testDomain}:`))
    .map((target) => Number(target.split(':')[1]));

/** Two accounts that came in the same way verify each other and chat. */
async function chat(core: DeltaChat, alice: number, bob: number): Promise<number> {
  const chatOfBob = await secureJoin({ core, id: alice }, { core, id: bob });
  const arrives = core.incoming(alice, (text) => text === 'here I am');
  await core.rpc('misc_send_text_message', bob, chatOfBob, 'here I am');
  await arrives;
  return chatOfBob;
}

describe('accounts by whatever a network lets through', { skip: withoutCore('newest') }, () => {
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

  test('443 alone: a file comes through, and the client finds the way again', async () => {
    const https = relay.ports.https_port ?? 0;
    await using network = await networkOf({ 443: https, [https]: https });
    const alice = await core.accountFromLink(`dcaccount:${testDomain}`, network.url);
    const bob = await core.accountFromLink(`dcaccount:https://${testDomain}/new`, network.url);
    const chatOfBob = await chat(core, alice, bob);

    const idle = core.wait(alice, 'ImapInboxIdle');
    await core.rpc('stop_io', alice);
    await core.rpc('start_io', alice);
    await idle;
    const file = join(relay.dir, 'file.bin');
    const bytes = randomBytes(1024 * 1024);
    await writeFile(file, bytes);
    const complete = core.wait(alice, 'MsgsChanged', async ({ msgId }) => {
      if (!msgId) return false;
      const message = await core.rpc<{ downloadState: string; file: string | null }>(
        'get_message',
        alice,
        msgId,
      );
      return message.downloadState === 'Done' && message.file !== null;
    });
    await core.send(bob, chatOfBob, { text: 'a file', file, filename: 'file.bin', viewtype: 'File' });
    const { msgId } = await complete;
    const received = await core.rpc<{ file: string }>('get_message', alice, msgId);
    assert.ok(bytes.equals(await readFile(received.file)));
    for (const id of [alice, bob]) await core.rpc('stop_io', id);
  });

  test('no TLS from the first byte: autoconfig leads to STARTTLS', async () => {
    const { imap_port: imap, submission_port: submission, https_port: https = 0 } = relay.ports;
    await using network = await networkOf({ 443: https, [imap]: imap, [submission]: submission });
    const link = `dcaccount:${testDomain}`;
    const alice = await core.accountFromLink(link, network.url);
    const bob = await core.accountFromLink(link, network.url);
    await chat(core, alice, bob);
    assert.ok(askedOf(network).includes(imap) && askedOf(network).includes(submission));
    for (const id of [alice, bob]) await core.rpc('stop_io', id);
  });
});

test('without a web, a client finds the usual ports by itself', { skip: withoutCore('newest') }, async () => {
  await using relay = await startTestRelay({ TEAL_HTTP_PORT: 'off', TEAL_HTTPS_PORT: 'off' });
  await using core = await DeltaChat.start();
  const { imap_port, imaps_port, submission_port, submissions_port } = relay.ports;
  for (const ports of [
    { 993: imaps_port, 465: submissions_port },
    { 143: imap_port, 587: submission_port },
  ]) {
    await using network = await networkOf(ports);
    const alice = await core.accountFromLink(`dcaccount:${testDomain}`, network.url);
    const bob = await core.accountFromLink(`dcaccount:${testDomain}`, network.url);
    await chat(core, alice, bob);
    for (const id of [alice, bob]) await core.rpc('stop_io', id);
  }
});

// Up to 2.58 the target of a request is a whole URL; 2.46 is the first that takes names with an underscore (client.md 1).
for (const version of ['2.57.0', '2.48.0'] satisfies CoreVersion[])
  test(
    `Delta Chat ${version} makes accounts by /new and by the name alone`,
    { skip: withoutCore(version) },
    async () => {
      await using relay = await startTestRelay();
      await using core = await DeltaChat.start(version);
      const { imaps_port: imaps, submissions_port: submissions, https_port: https = 0 } = relay.ports;
      await using network = await networkOf({ 443: https, [imaps]: imaps, [submissions]: submissions });
      const alice = await core.accountFromLink(`dcaccount:https://${testDomain}/new`, network.url);
      const bob = await core.accountFromLink(`dcaccount:${testDomain}`, network.url);
      await chat(core, alice, bob);
      assert.ok(askedOf(network).includes(imaps), 'autoconfig was read');
    },
  );
