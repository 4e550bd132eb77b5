import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { chooseTrialPorts, expectPortsFree, PortTaken } from '../../src/trial/ports.ts';

const host = '127.0.0.1';

async function squatter() {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

test('the ports chosen are free, and differ', async () => {
  const ports = await chooseTrialPorts(host);
  assert.equal(new Set(Object.values(ports)).size, 5);
  await expectPortsFree(host, ports, 'trial.json');
});

test('a port of an earlier start that is taken is named, with what to do', async () => {
  await using taken = await squatter();
  const ports = { ...(await chooseTrialPorts(host)), imap_port: taken.port };
  await assert.rejects(expectPortsFree(host, ports, '/data/trial.json'), (error: Error) => {
    assert.ok(error instanceof PortTaken);
    assert.match(error.message, new RegExp(`^port ${taken.port} \\(imap_port\\) of this trial is taken on `));
    assert.match(error.message, /the trial runs already, or another program .* delete \/data\/trial\.json/);
    return true;
  });
});
