import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { day, minute } from '../../src/clock.ts';
import { doctor } from '../../src/cli/doctor.ts';
import { judgeCertificate } from '../../src/cli/doctor/certificate.ts';
import { linesText, withoutSecrets } from '../../src/cli/doctor/line.ts';
import type { Line } from '../../src/cli/doctor/line.ts';
import { judgeClock, judgeDisk, judgeFiles, judgeMemory, judgeNode } from '../../src/cli/doctor/machine.ts';
import { judgeDns, judgeDnssec, judgeOutgoing, judgeReach } from '../../src/cli/doctor/network.ts';
import { judgePorts } from '../../src/cli/doctor/ports.ts';
import type { PortHolder } from '../../src/cli/doctor/ports.ts';
import type { DoctorWorld } from '../../src/cli/doctor.ts';
import type { Finding } from '../../src/dns/check.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { publish } from '../harness/dns-zone.ts';
import { freePorts } from '../harness/free-ports.ts';
import { issue, selfSigned } from '../harness/self-signed.ts';
import { TealProcess } from '../harness/teal-process.ts';

describe('what the doctor makes of what it sees', () => {
  const is = (line: Line, state: Line['state'], text?: RegExp) => {
    assert.equal(line.state, state, line.text);
    if (text) assert.match(line.text, text);
  };
  const MB = 1024 * 1024;

  test('the machine', () => {
    is(judgeNode('24.15.0'), 'ok');
    is(judgeNode('25.0.0'), 'ok');
    is(judgeNode('24.14.9'), 'bad', /needs 24\.15/);
    is(judgeDisk(3000 * MB, 1000 * MB), 'ok', /^3000 MB free$/);
    is(judgeDisk(1500 * MB, 1000 * MB), 'warn');
    is(judgeDisk(900 * MB, 1000 * MB), 'bad', /no new accounts/);
    is(judgeDisk(undefined, 1), 'warn');
    is(judgeMemory(300 * MB, 1000 * MB, 200 * MB), 'ok');
    is(judgeMemory(100 * MB, 1000 * MB, 200 * MB), 'warn');
    is(judgeMemory(undefined, 1000 * MB, 200 * MB), 'warn', /cannot be read/);
    const connections = { max_imap_connections: 10_000, max_smtp_connections: 1000 };
    is(judgeFiles({ limit: 1024, of: 'Teal' }, connections), 'warn', /17500 are needed/);
    is(judgeFiles({ limit: 17_500, of: 'Teal' }, connections), 'ok');
    is(judgeFiles({ limit: undefined, of: 'Teal' }, connections), 'warn');
    is(judgeClock(2000, 'ca.example'), 'ok');
    is(judgeClock(-30_000, 'ca.example'), 'warn', /^30 s behind ca\.example/);
    is(judgeClock(6 * minute, 'ca.example'), 'bad', /^360 s ahead of/);
    is(judgeClock(undefined, 'ca.example'), 'warn', /did not answer/);
  });

  test('ports: free, ours, another’s, hidden', () => {
    const by = (name: string, isTeal = false): PortHolder => ({
      kind: 'taken',
      program: { name, pid: 7, isTeal },
    });
    const judge = (...holders: readonly PortHolder[]) =>
      judgePorts(holders.map((holder, place) => ({ key: 'smtp_port', port: place, holder })));
    const first = (holder: PortHolder) => judge(holder)[0] ?? assert.fail();
    is(first({ kind: 'free' }), 'ok', /not running/);
    is(first(by('node', true)), 'ok', /Teal listens/);
    is(first(by('master')), 'bad', /taken by master \(process 7\)/);
    is(first(by('docker-proxy')), 'warn', /container/);
    is(first({ kind: 'taken', program: undefined }), 'warn', /as root/);
    is(first({ kind: 'denied' }), 'warn', /CAP_NET_BIND_SERVICE/);
    is(first({ kind: 'no address' }), 'bad', /listen_address/);
    is(judge(by('node', true), { kind: 'free' })[1] ?? assert.fail(), 'bad', /though Teal runs/);
  });

  test('the network', () => {
    is(
      judgeOutgoing([
        { host: 'a', problem: 'no answer' },
        { host: 'b', problem: undefined },
      ]),
      'ok',
      /^b answered/,
    );
    is(judgeOutgoing([{ host: 'a', problem: 'no answer' }]), 'bad', /a: no answer/);
    is(judgeOutgoing([]), 'warn');
    const at = (port: number, reached: boolean) => ({ address: '192.0.2.7', port, reached });
    is(judgeReach('chat.example', [at(25, true), at(993, true)]), 'ok', /25, 993/);
    is(judgeReach('chat.example', [at(25, false), at(993, true)]), 'warn', /192\.0\.2\.7 port 25:/);
    is(judgeReach('chat.example', []), 'warn');
    const dnssec = (...given: Parameters<typeof judgeDnssec>) => judgeDnssec(...given)[0] ?? assert.fail();
    is(dnssec(true, 'enforce'), 'ok', /count$/);
    is(dnssec(false, 'enforce'), 'warn', /does nothing/);
    is(dnssec(undefined, 'enforce'), 'warn', /does not answer/);
    is(dnssec(false, 'report'), 'ok', /not looked at/);
    assert.deepEqual([...judgeDnssec(undefined, 'report'), ...judgeDnssec(false, 'off')], []);
  });

  test('DNS', () => {
    const base: Finding = {
      role: 'mail',
      grade: 'must',
      state: 'ok',
      name: 'chat.example',
      type: 'MX',
      want: '',
      have: [],
      notes: [],
      why: '',
    };
    const judge = (...more: readonly Partial<Finding>[]) =>
      judgeDns({
        domain: 'chat.example',
        zone: undefined,
        fromResolver: false,
        published: [],
        findings: more.map((one) => ({ ...base, ...one })),
      });
    const [line, reverse] = judge(
      {},
      { role: 'reverse', grade: 'should', name: 'x.arpa', type: 'PTR', state: 'missing' },
    );
    is(line ?? assert.fail(), 'ok');
    is(reverse ?? assert.fail(), 'warn', /x\.arpa: missing/);
    is(judge({ state: 'missing' })[0] ?? assert.fail(), 'bad', /MX chat\.example missing/);
    is(judge({ state: 'missing', grade: 'should' })[0] ?? assert.fail(), 'warn');
    is(judge({ state: 'unknown' })[0] ?? assert.fail(), 'warn', /no answer/);
    is(judge({ state: 'missing', grade: 'nice' })[0] ?? assert.fail(), 'ok');
  });

  test('the certificate', async () => {
    const own = new X509Certificate((await selfSigned('chat.example')).cert);
    const authority = await selfSigned('authority.example');
    const issued = new X509Certificate((await issue('chat.example', authority)).cert);
    const judge = (certificate: X509Certificate, untrusted?: string, more: object = {}) =>
      judgeCertificate(
        { from: 'port 993', certificate, untrusted },
        { domain: 'chat.example', needsAuthority: true, now: Date.now(), ...more },
      );
    // It lives for two days, one of which has gone.
    is(judge(issued), 'ok', /^port 993: 0 days left, for chat\.example$/);
    is(judge(issued, undefined, { now: Date.now() + 0.9 * day }), 'warn', /renewed by now/);
    is(judge(issued, undefined, { now: Date.now() + 2 * day }), 'bad', /expired/);
    is(judge(issued, undefined, { now: Date.now() - 2 * day }), 'bad', /not valid yet/);
    is(judge(issued, undefined, { domain: 'other.example' }), 'bad', /not for other\.example/);
    is(judge(own, 'self-signed'), 'bad', /strangers do not take it \(self-signed\)/);
    is(judge(own, 'self-signed', { needsAuthority: false }), 'ok');
    is(
      judgeCertificate(undefined, { domain: 'chat.example', needsAuthority: true, now: 0 }),
      'warn',
      /none yet/,
    );
  });

  test('no password leaves it', () => {
    for (const url of [
      'mongodb://teal:se@cret@db.example/x',
      'redis://:secret@r.example',
      'https://secret@h.example/a',
    ])
      assert.ok(!withoutSecrets(`cannot reach ${url}: no`).includes('cret'), url);
    assert.equal(withoutSecrets('see https://a.example/b?c=d@e'), 'see https://a.example/b?c=d@e');
    assert.equal(
      linesText([{ state: 'ok', topic: 'a', text: 'redis://:x@h' }]),
      'ok    a  redis://(hidden)@h',
    );
  });
});

describe('teal doctor', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'teal-doctor-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  async function run(env: Record<string, string>, world: DoctorWorld = {}) {
    const out: string[] = [];
    const code = await doctor(
      {
        flags: new Map(),
        words: [],
        loadSettings: () => loadSettings({ configPath: undefined, cwd: dir, env }),
        print: (text) => out.push(text),
        printError: (text) => out.push(text),
      },
      world,
    );
    return { code, out: out.join('\n') };
  }

  async function listening(server: Server) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      port: (server.address() as AddressInfo).port,
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
    };
  }

  /** Settings of a relay on ports of its own, a web server with a clock, a mail server of somebody. */
  async function surroundings() {
    await using scope = new AsyncDisposableStack();
    const [smtp = 0, submission = 0, submissions = 0, imap = 0, imaps = 0] = await freePorts(5);
    const web = scope.use(await listening(createHttpServer((_request, answer) => answer.end())));
    const mail = scope.use(
      await listening(
        createServer((socket) => socket.on('error', () => {}).end('220 mx.other.test ESMTP\r\n')),
      ),
    );
    const dns = scope.use(await createDnsServer());
    const env = {
      MAIL_DOMAIN: '_doctor.test',
      TEAL_DATA_DIR: join(dir, 'data'),
      TEAL_LISTEN_ADDRESS: '127.0.0.1',
      TEAL_SMTP_PORT: String(smtp),
      TEAL_SUBMISSION_PORT: String(submission),
      TEAL_SUBMISSIONS_PORT: String(submissions),
      TEAL_IMAP_PORT: String(imap),
      TEAL_IMAPS_PORT: String(imaps),
      TEAL_HTTP_PORT: 'off',
      TEAL_HTTPS_PORT: 'off',
      TEAL_DNS_SERVERS: dns.address,
      TEAL_ACME_DIRECTORY: `http://127.0.0.1:${web.port}/directory`,
      TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/',
    };
    const world = { port: dns.port, ownAddresses: [], mailServers: [{ host: '127.0.0.1', port: mail.port }] };
    const all = scope.move();
    return { env, world, dns, smtp, imaps, [Symbol.asyncDispose]: () => all.disposeAsync() };
  }

  test('without a relay: what is free, what is another’s, and what is not there yet', async () => {
    await using around = await surroundings();
    const { env, world, smtp } = around;
    const free = await run(env, world);
    assert.equal(free.code, 0, free.out);
    for (const line of [
      /^ok {4}settings +_doctor\.test, store sqlite, data in /m,
      new RegExp(`^ok {4}port ${smtp} +smtp_port: free, Teal is not running$`, 'm'),
      /^ok {4}clock +0 s (behind|ahead of) 127\.0\.0\.1$/m,
      /^ok {4}outgoing 25 +127\.0\.0\.1 answered$/m,
      /^ok {4}store +there is none yet/m,
      /^ok {4}registration +open$/m,
    ])
      assert.match(free.out, line);
    // What it says of new accounts is what stops them.
    const MB = 1024 * 1024;
    const readings = { availableMemory: () => 199 * MB, freeDiskSpace: () => 999 * MB };
    const short = await run(env, { ...world, readings });
    assert.match(short.out, /^warn +memory +199 MB of \d+ MB available, below .+: no new accounts$/m);
    assert.match(short.out, /^bad +disk +999 MB free, below .+: no new accounts$/m);
    // The operator's own certificate, before the first start.
    const authority = await selfSigned('authority.example');
    const { cert, key } = await issue('chat.example', authority);
    const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    const own = {
      ...env,
      MAIL_DOMAIN: 'chat.example',
      TEAL_TLS_EXTERNAL_CERT_AND_KEY: `${certFile} ${keyFile}`,
    };
    assert.match((await run(own, world)).out, /^bad +certificate +.*cert\.pem does not exist$/m);
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
    assert.match((await run(own, world)).out, /^warn +certificate +.* without the chain of its authority/m);
    await writeFile(certFile, `${cert}\n${authority.cert}`);
    assert.match(
      (await run(own, world)).out,
      /^ok +certificate +.*cert\.pem: 0 days left, for chat\.example$/m,
    );
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(smtp, '127.0.0.1', resolve));
    try {
      const taken = await run(env, world);
      assert.equal(taken.code, 1);
      assert.match(
        taken.out,
        new RegExp(`^bad +port ${smtp} +smtp_port: taken by node \\(process ${process.pid}\\)`, 'm'),
      );
    } finally {
      await new Promise((resolve) => squatter.close(resolve));
    }
    assert.equal((await run({ ...env, MAIL_DOMAIN: '' }, world)).code, 1);
    const bare = { ...env, MAIL_DOMAIN: '192.0.2.7' };
    assert.match((await run(bare, world)).out, /^warn +ptr +192\.0\.2\.7 has no name/m);
    publish(around.dns, '7.2.0.192.in-addr.arpa', { type: 'PTR', target: 'vps.host.test' });
    assert.match(
      (await run(bare, world)).out,
      /^warn +ptr +192\.0\.2\.7 is vps\.host\.test, which does not/m,
    );
    publish(around.dns, 'vps.host.test', { type: 'A', address: '192.0.2.7' });
    assert.match((await run(env, world)).out, /^ok {4}dnssec +the DNS server does not check it/m);
    around.dns.sign('org');
    assert.match((await run(env, world)).out, /^ok {4}dnssec +the DNS server checks it/m);
    assert.match((await run(bare, world)).out, /^ok {4}ptr +192\.0\.2\.7 is vps\.host\.test, and back/m);
  });

  test('with a relay: it is known by its ports, its certificate is looked at, its name is tried', async () => {
    await using around = await surroundings();
    const { world, dns, smtp, imaps } = around;
    // A proxy on the same machine: what doctor sends to the relay comes from there, too.
    const env = { ...around.env, TEAL_PROXY_PROTOCOL_FROM: '127.0.0.1' };
    publish(dns, '_doctor.test', { type: 'A', address: '127.0.0.1' });
    await using _ = await TealProcess.start({ cwd: dir, env: { ...env, TEAL_MAX_LOAD_1M: '100000' } });
    await writeFile(join(dir, 'data', 'nocreate'), '');
    const { code, out } = await run(env, world);
    for (const line of [
      new RegExp(`^ok {4}port ${smtp} +smtp_port: Teal listens, `, 'm'),
      new RegExp(`^ok {4}certificate +port ${imaps}: 36\\d\\d days left, for _doctor\\.test`, 'm'),
      /^ok {4}reachable +_doctor\.test answers on /m,
      /^(ok|warn) +files +Teal may open \d+/m,
      /^ok {4}store +answers$/m,
      /^bad {3}dns +must be put right: MX _doctor\.test missing, TXT opendkim\._domainkey\._doctor\.test missing/m,
      /^ok {4}registration +closed by the file nocreate/m,
    ])
      assert.match(out, line);
    assert.equal(code, 1);
    assert.doesNotMatch(out, /PRIVATE|BEGIN/);
  });
});
