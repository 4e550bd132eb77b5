import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { dnsCheck } from '../../src/cli/dns-check.ts';
import { dnsShow } from '../../src/cli/dns-show.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { wantedRecords } from '../../src/dns/records.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { openValues } from '../../src/stores.ts';
import { readZoneFacts } from '../../src/zone-facts.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import type { DnsServer } from '../harness/dns-server.ts';
import { delegate, publish } from '../harness/dns-zone.ts';
import { without } from '../harness/peers.ts';

const domain = 'chat.example.test';
const own = '8.8.4.4';
let dir: string;
let dns: DnsServer;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'teal-cli-dns-'));
  dns = await createDnsServer();
});
after(async () => {
  await dns[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const settingsWith = (env: Record<string, string> = {}) =>
  loadSettings({
    configPath: undefined,
    cwd: dir,
    env: {
      MAIL_DOMAIN: domain,
      TEAL_DNS_SERVERS: dns.address,
      TEAL_TLS_REPORT_ADDRESS: 'tls@ops.example',
      ...env,
    },
  });

async function run(line: string, env: Record<string, string> = {}, ownAddresses = [own]) {
  const out: string[] = [];
  const err: string[] = [];
  const world = { port: dns.port, ownAddresses };
  const table = commands.map((command) =>
    command.name === 'dns show'
      ? { ...command, run: (call: Parameters<typeof dnsShow>[0]) => dnsShow(call, world) }
      : command.name === 'dns check'
        ? { ...command, run: (call: Parameters<typeof dnsCheck>[0]) => dnsCheck(call, world) }
        : command,
  );
  const code = await runCommandLine(table, line.split(' '), {
    loadSettings: () => settingsWith(env),
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('teal dns show', () => {
  test('prints a zone that a name server loads', { skip: without('named-checkzone') }, async () => {
    const { code, out } = await run('dns show --format bind');
    assert.equal(code, 0);
    const head = [
      `$ORIGIN ${domain}.`,
      '@ 300 IN SOA ns hostmaster 1 3600 600 86400 300',
      '@ 300 IN NS ns',
      'ns 300 IN A 127.0.0.1',
    ];
    const file = join(dir, 'zone');
    await writeFile(file, [...head, out, ''].join('\n'));
    const checked = spawnSync('/usr/bin/named-checkzone', ['-D', '-k', 'fail', domain, file], {
      encoding: 'utf8',
    });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    assert.match(
      checked.stdout,
      /_smtp\._tls\.chat\.example\.test\.\s+3600\s+IN\s+TXT\s+"v=TLSRPTv1;rua=mailto:tls@ops\.example"/,
    );
    // Without comments: every line of ours is a record that it has taken over.
    const ours = out.split('\n').filter((line) => !line.startsWith(';'));
    assert.equal(
      checked.stdout.split('\n').filter((line) => / 3600 IN /.test(line.replaceAll(/\s+/g, ' '))).length,
      ours.length,
    );
  });

  test('prints names in full and relative to the zone: the one given, the one in DNS, or a guess that is called one', async () => {
    const guessed = await run('dns show --format table');
    assert.match(guessed.out, /^The zone is example\.test \(a guess/);
    assert.match(guessed.out, /^must +A +chat\.example\.test +chat +8\.8\.4\.4$/m);
    assert.match(
      guessed.out,
      /^should +TXT +_dmarc\.chat\.example\.test +_dmarc\.chat +v=DMARC1;p=reject;adkim=s;aspf=s$/m,
    );
    assert.doesNotMatch(guessed.out, /IN TXT/);
    const given = await run('dns show --zone Chat.Example.TEST.');
    assert.match(given.out, /^must +MX +chat\.example\.test +@ +10 chat\.example\.test\.$/m);
    assert.match(given.out, /^chat\.example\.test\. 3600 IN MX 10 chat\.example\.test\.$/m);
    delegate(dns, domain, ['127.0.0.1']);
    assert.match(
      (await run('dns show --format table')).out,
      /^The zone is chat\.example\.test \(as DNS says\)/,
    );
    dns.remove(domain);
    assert.match(
      (await run('dns show', {}, [])).out,
      /; chat\.example\.test\. 3600 IN A <the public IPv4 address/,
    );
    assert.match(
      (await run('dns show --format table', {}, [])).out,
      /^should +PTR +<its addresses> +\(where it is rented\) +chat\.example\.test\.$/m,
    );
  });

  test('names no address at which the relay does not listen', async () => {
    const addressesIn = (out: string) => [...out.matchAll(/ IN (?:A|AAAA) (\S+)$/gm)].map(([, one]) => one);
    const machine = [own, '8.8.8.8', '2600::5'];
    const shown = async (env: Record<string, string>) =>
      addressesIn((await run('dns show --format bind', env, machine)).out);
    assert.deepEqual(await shown({}), [own, '2600::5']);
    assert.deepEqual(await shown({ TEAL_DISABLE_IPV6: 'true' }), [own]);
    assert.deepEqual(await shown({ TEAL_LISTEN_ADDRESS: '8.8.8.8' }), ['8.8.8.8']);
    assert.doesNotMatch(
      (await run('dns check', { TEAL_DISABLE_IPV6: 'true' }, machine)).out,
      /AAAA|2600::5|ip6\.arpa/,
    );
  });

  test('says what cannot be asked of it, and what does not apply', async () => {
    assert.deepEqual(
      [(await run('dns show --format xml')).code, (await run('dns show --zone other.test')).code],
      [2, 2],
    );
    const bare = await run('dns show', { MAIL_DOMAIN: '192.0.2.7' });
    assert.equal(bare.code, 0);
    assert.match(bare.out, /bare address: it has no zone/);
    const own = await run('dns show --format bind', {
      MAIL_DOMAIN: '_chat.example.test',
      TEAL_DATA_DIR: join(dir, 'own'),
    });
    assert.match(own.out, /opendkim\._domainkey\._chat\.example\.test\./);
    assert.doesNotMatch(own.out, /mta-sts|CAA/);
    assert.equal((await run('dns check', { MAIL_DOMAIN: '' })).code, 1);
  });
});

describe('teal dns check', () => {
  test('fails for what must be there, tells what to type, and is content when that is done', async () => {
    delegate(dns, 'example.test', ['127.0.0.1']);
    publish(dns, '4.4.8.8.in-addr.arpa', { type: 'PTR', target: domain });
    const empty = await run('dns check');
    assert.equal(empty.code, 1);
    assert.match(
      empty.out,
      /^chat\.example\.test is in the zone example\.test \(as DNS says\); asked ns0\.example\.test \(127\.0\.0\.1\)$/m,
    );
    assert.match(empty.out, /^MISSING {2}must {4}MX {5}chat\.example\.test$/m);
    assert.match(empty.out, /want: 10 chat\.example\.test\.\n +type: name chat, type MX/);
    assert.match(empty.out, /^3 that must be put right, 8 that should, 0 that DNS did not answer\.$/m);

    const { settings } = settingsWith();
    await using values = await openValues(settings, { onFault: () => {} });
    const facts = (await readZoneFacts(settings, values)) ?? assert.fail();
    for (const { name, data, grade } of wantedRecords({ ...facts, addresses: [own] }))
      if (grade === 'must') publish(dns, name, data);
    const enough = await run('dns check');
    assert.equal(enough.code, 0, enough.out);
    assert.match(enough.out, /^0 that must be put right, 7 that should/m);
    for (const { name, data, grade } of wantedRecords({ ...facts, addresses: [own] }))
      if (grade !== 'must') publish(dns, name, data);
    const all = await run('dns check');
    assert.match(all.out, /\nAll that must and should be in DNS is there\.$/);
    assert.doesNotMatch(all.out, /MISSING|DIFFERS|UNKNOWN|note/);
  });

  test('fails where DNS did not say', async () => {
    dns.fail(domain);
    const { code, out } = await run('dns check');
    assert.equal(code, 1);
    assert.match(out, /^UNKNOWN {2}must {4}MX/m);
  });
});
