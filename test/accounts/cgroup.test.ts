import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findCgroup, parseMembership, parsePressure, parseStat } from '../../src/accounts/cgroup.ts';
import { machineReadings } from '../../src/accounts/brakes.ts';

const pressure = (avg60: string) =>
  `some avg10=0.00 avg60=${avg60} avg300=1.00 total=5\nfull avg10=0.00 avg60=99.00 avg300=0.00 total=1\n`;

/** A machine that has these files and no others. */
const machine = (files: Record<string, string>) => (path: string) => {
  const text = files[path];
  if (text === undefined) throw new Error(`ENOENT: ${path}`);
  return text;
};

const group = '/sys/fs/cgroup/system.slice/teal.service';
const v2 = {
  '/proc/self/cgroup': '0::/system.slice/teal.service\n',
  [`${group}/memory.max`]: 'max\n',
  [`${group}/memory.high`]: '1000\n',
  [`${group}/memory.current`]: '900\n',
  [`${group}/memory.stat`]: 'anon 200\ninactive_file 600\nactive_file 100\n',
  [`${group}/cpu.pressure`]: pressure('2.50'),
  [`${group}/io.pressure`]: pressure('12.50'),
};

describe('the control groups of the process', () => {
  test('version 2: the lower limit counts, and what is cached is free', () => {
    assert.equal(findCgroup(machine(v2)).memoryLeft(), 1000 - (900 - 600));
  });

  test('version 2: a limit of a group above is a limit, too', () => {
    const above = {
      '/sys/fs/cgroup/system.slice/memory.max': '1000',
      '/sys/fs/cgroup/system.slice/memory.current': '950',
      '/sys/fs/cgroup/system.slice/memory.stat': 'inactive_file 50',
    };
    assert.equal(findCgroup(machine({ ...v2, ...above })).memoryLeft(), 100);
  });

  test('version 1: its own names, and no limit as a huge one', () => {
    const v1 = {
      '/proc/self/cgroup': '9:name=systemd:/\n4:memory:/docker/abc\n0::/\n',
      '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '500\n',
      '/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes': '450\n',
      '/sys/fs/cgroup/memory/docker/abc/memory.stat': 'inactive_file 1\ntotal_inactive_file 100\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': '1000000\n',
      '/sys/fs/cgroup/memory/memory.stat': 'total_inactive_file 0\n',
    };
    assert.equal(findCgroup(machine(v1)).memoryLeft(), 150);
  });

  test('a container sees its own group at the root', () => {
    const inside = {
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.max': '1000',
      '/sys/fs/cgroup/memory.current': '400',
      '/sys/fs/cgroup/memory.stat': 'inactive_file 100',
    };
    assert.equal(findCgroup(machine(inside)).memoryLeft(), 700);
  });

  test('over its limit nothing is left, never less', () => {
    const over = { ...v2, [`${group}/memory.current`]: '5000\n' };
    assert.equal(findCgroup(machine(over)).memoryLeft(), 0);
  });

  test('the pressure is the worse of CPU and disk, and unknown where one is', () => {
    assert.equal(findCgroup(machine(v2)).pressure(), 0.125);
    const { [`${group}/io.pressure`]: _, ...without } = v2;
    assert.equal(findCgroup(machine(without)).pressure(), undefined);
    assert.equal(findCgroup(machine({})).pressure(), undefined);
  });

  test('without groups, or with files that say nothing, nothing is limited', () => {
    assert.equal(findCgroup(machine({})).memoryLeft(), Infinity);
    const odd = { ...v2, [`${group}/memory.current`]: 'words' };
    assert.equal(findCgroup(machine(odd)).memoryLeft(), Infinity);
  });

  test('the lines of Linux are read', () => {
    assert.deepEqual(parseMembership('12:cpu,memory:/a:b\n0::/c\nnonsense\n'), {
      memory: '/a:b',
      unified: '/c',
    });
    assert.equal(parseStat('inactive_file 7\n', 'file'), 0);
    assert.equal(parsePressure(''), undefined);
  });

  test('the tighter of machine and group is what is left', () => {
    const available = (left: number) =>
      machineReadings('/', { memoryLeft: () => left, pressure: () => undefined }).availableMemory();
    assert.equal(available(1), 1);
    assert(available(Infinity) > 1024 * 1024);
  });
});
