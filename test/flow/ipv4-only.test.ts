import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { until } from '../harness/until.ts';

const PASSWORD = 'a-password-of-somebody';
const ALICE = 'alicealic@one.test';
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

test(
  'with disable_ipv6 no mail leaves by IPv6, from an address that DNS does not name',
  { skip: !hasIpv6 },
  async () => {
    let connections = 0;
    const far = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => far.listen(0, '::1', resolve));
    await using all = new AsyncDisposableStack();
    all.defer(() => void far.close());
    const { port: farPort } = far.address() as AddressInfo;
    const log = createEventLog();
    const federation = all.use(await createFederation(['one.test']));
    federation.dns.add({ name: 'six.test', type: 'AAAA', ttl: 60, data: '::1' });
    const dialler = (host: string, port: number) => ({ host, port: port === 25 ? farPort : 9 });
    const send = async (env: Record<string, string>) => {
      const relay = await federation.relay(
        'one.test',
        { TEAL_HTTPS_PORT: 'off', ...env },
        { log: log.log, dialler },
      );
      await using _ = relay;
      await relay.login(ALICE, PASSWORD, { countsAsUse: true, peer: '127.0.0.1' });
      await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
      assert.equal((await smtp.login(ALICE, PASSWORD)).code, 235);
      const before = tried();
      assert.match((await smtp.deliver(ALICE, ['bob@six.test'], mail({ from: ALICE }))).text, /^250 /);
      await until(() => tried() > before, 'the message was tried');
    };
    const tried = () =>
      log.events.filter(({ event }) => /^mail-(?:deferred|failed|bounced)$/.test(event)).length;

    await send({ TEAL_DISABLE_IPV6: 'true' });
    assert.equal(connections, 0);
    await send({});
    assert.ok(connections > 0, 'without the setting it does');
  },
);
