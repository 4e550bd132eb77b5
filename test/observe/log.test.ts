import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEvents } from '../../src/observe/events.ts';
import { createLog } from '../../src/observe/log.ts';
import type { LogLevel } from '../../src/observe/log.ts';

function logged(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { events: createEvents(createLog(level, { write })), lines };
}

test('a line is JSON with its time and its level in words, and nothing about the machine', () => {
  const { events, lines } = logged('info');
  events.ready('chat.test', { imap_port: 143 });
  const [{ time, ...line } = {}] = lines;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(line, { level: 'info', event: 'ready', domain: 'chat.test', ports: { imap_port: 143 } });
});

test('below log_level nothing is written', () => {
  const { events, lines } = logged('warn');
  events.stopping();
  events.loggedIn('imap', '1');
  events.loginUnavailable('busy');
  assert.deepEqual(
    lines.map(({ level, event }) => [level, event]),
    [['warn', 'login-unavailable']],
  );
});

test('a fault carries its stack, a store that is away only the reason', () => {
  const { events, lines } = logged('info');
  events.fault('here', new TypeError('broken'));
  events.storeUnavailable(new Error('the disk is full'));
  const [fault, away] = lines;
  const { err, ...rest } = fault ?? {};
  assert.match((err as { stack: string }).stack, /^TypeError: broken\n +at /);
  assert.deepEqual([rest['level'], rest['event'], rest['where']], ['error', 'fault', 'here']);
  assert.equal(away?.['reason'], 'the disk is full');
  assert.ok(!JSON.stringify(away).includes(' at '));
});
