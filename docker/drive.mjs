// The hand at docker/check's image: speaks to every port of a running Teal and reads by IMAP, as a client would.
//
//   node docker/drive.mjs first|again PORTS     PORTS: the `ports` of Teal's `ready` line, as JSON
//
// `first` logs in, which makes the account, and stores a message; `again` finds both. Certificates are not checked: the
// relay signs its own.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ImapFlow } from 'imapflow';

const [round, list = '{}'] = process.argv.slice(2);
const ports = JSON.parse(list);
const host = '127.0.0.1';

/** The first bytes that a server says by itself. */
const banner = (socket) =>
  new Promise((resolve, reject) => {
    socket.once('data', (bytes) => {
      socket.destroy();
      resolve(bytes.toString('latin1'));
    });
    socket.once('error', reject);
    socket.setTimeout(10_000, () => socket.destroy(new Error('it says nothing')));
  });

for (const key of ['smtp_port', 'submission_port'])
  assert.match(await banner(connect(ports[key], host)), /^220 /, key);
assert.match(
  await banner(connectTls({ port: ports.submissions_port, host, rejectUnauthorized: false })),
  /^220 /,
);
assert.match(await banner(connect(ports.imap_port, host)), /^\* OK /);
const redirect = await fetch(`http://${host}:${ports.http_port}/`, { redirect: 'manual' });
assert.equal(redirect.status, 301, 'http_port redirects');
const page = connectTls({
  port: ports.https_port,
  host,
  rejectUnauthorized: false,
  ALPNProtocols: ['http/1.1'],
});
page.write('GET / HTTP/1.1\r\nHost: _check.test\r\nConnection: close\r\n\r\n');
assert.match(await banner(page), /^HTTP\/1\.1 200 /, 'https_port shows the page');

const client = new ImapFlow({
  host,
  port: ports.imaps_port,
  secure: true,
  tls: { rejectUnauthorized: false },
  auth: { user: 'dockchk01@_check.test', pass: 'a password to check with' },
  logger: false,
});
await client.connect();
const body = 'Subject: kept\r\n\r\nThrough a restart.\r\n';
if (round === 'first') await client.append('INBOX', body);
await client.mailboxOpen('INBOX');
const message = await client.fetchOne('*', { source: true });
assert.equal(message && message.source.toString(), body, 'the message is there');
await client.logout();
