/**
 * The process that is killed: a relay that finds other hosts where RELAY_PLACES says they are (`{"host:port": port}` of
 * loopback) and trusts the authority in RELAY_CA; its settings are in the environment as ever.
 */
import { writeSync } from 'node:fs';
import { createLog } from '../../src/observe/log.ts';
import { createRelay } from '../../src/relay.ts';
import { loadSettings } from '../../src/settings/load.ts';

const { RELAY_PLACES = '{}', RELAY_CA = '', ...env } = process.env;
const places = JSON.parse(RELAY_PLACES) as Readonly<Record<string, number>>;
const { settings } = loadSettings({ configPath: undefined, cwd: process.cwd(), env });
const relay = await createRelay(settings, {
  // Written at once, so that nothing of it is lost in a buffer when the process is killed.
  log: createLog('info', { write: (line) => void writeSync(1, line) }),
  trustedCa: RELAY_CA,
  // Port 9 answers nobody.
  dialler: (host, port) => ({ host: '127.0.0.1', port: places[`${host}:${port}`] ?? 9 }),
});
relay.ready();
