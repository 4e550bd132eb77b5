import assert from 'node:assert/strict';
import { test } from 'node:test';
import { without } from '../harness/peers.ts';
import { openTestCluster, startTestRelay } from '../harness/relay.ts';

/** Asks until the answer is `status`; a supervisor does no more. */
async function becomes(port: number | undefined, status: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
    await response.text();
    if (response.status === status) return;
  }
}

test('on SQLite a relay is healthy as soon as it serves', async () => {
  await using relay = await startTestRelay({ TEAL_HEALTH_PORT: '0' });
  await becomes(relay.ports.health_port, 200);
});

test(
  'health is red while database and Redis are away, and green when they are back',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using cluster = await openTestCluster();
    await using relay = await startTestRelay({ ...cluster.env, TEAL_HEALTH_PORT: '0' });
    await becomes(relay.ports.health_port, 200);
    await cluster.stop();
    await becomes(relay.ports.health_port, 503);
    const live = await fetch(`http://127.0.0.1:${relay.ports.health_port}/health/live`);
    assert.equal(live.status, 200, 'a restart would not help');
    await cluster.resume();
    await becomes(relay.ports.health_port, 200);
  },
);
