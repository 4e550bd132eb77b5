import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { createBrakes, machineReadings } from '../../src/accounts/brakes.ts';
import type { BrakeReadings } from '../../src/accounts/brakes.ts';

const limits = { maxLoad1m: 5, minAvailableMemory: 200, minFreeDiskSpace: 1000 };
const fine: BrakeReadings = {
  load1m: () => 5,
  pressure: () => undefined,
  availableMemory: () => 200,
  freeDiskSpace: () => 1000,
};

describe('the brakes on new accounts', () => {
  test('let pass at each limit, and name the limit that is passed', () => {
    const said = (readings: Partial<BrakeReadings>) => createBrakes(limits, { ...fine, ...readings })();
    assert.equal(said({}), undefined);
    assert.match(said({ load1m: () => 5.01 }) ?? '', /max_load_1m/);
    assert.match(said({ availableMemory: () => 199 }) ?? '', /min_available_memory/);
    assert.match(said({ freeDiskSpace: () => 999 }) ?? '', /min_free_disk_space/);
  });

  test('do not count the load of others: we ourselves hardly wait', () => {
    const loaded = { ...fine, load1m: () => 100 };
    assert.match(createBrakes(limits, { ...loaded, pressure: () => 0.11 })() ?? '', /max_load_1m/);
    assert.equal(createBrakes(limits, { ...loaded, pressure: () => 0.1 })(), undefined);
  });

  test('read anew each time, and pass over what cannot be read', () => {
    let load = 6;
    const brakes = createBrakes(limits, { ...fine, load1m: () => load });
    assert.notEqual(brakes(), undefined);
    load = 1;
    assert.equal(brakes(), undefined);
    const unreadable = () => {
      throw new Error('no such file');
    };
    const blind = {
      load1m: unreadable,
      pressure: unreadable,
      availableMemory: unreadable,
      freeDiskSpace: unreadable,
    };
    assert.equal(createBrakes(limits, blind)(), undefined);
  });

  test('this machine can be read', () => {
    const readings = machineReadings(tmpdir());
    assert(readings.load1m() >= 0);
    assert(readings.availableMemory() > 1024 * 1024);
    assert(readings.freeDiskSpace() > 0);
    assert.throws(() => machineReadings('/no/such/place').freeDiskSpace());
  });
});
