import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { createInflateRaw } from 'node:zlib';
import { ConnectionGone, createOutbox, HIGH_WATER, STALL_TIMEOUT } from '../../src/imap/outbox.ts';
import { createTestClock } from '../harness/clock.ts';

async function pair() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const clock = createTestClock();
  const gaveUp: string[] = [];
  const out = createOutbox({ socket, clock, giveUp: (why) => gaveUp.push(why) });
  return {
    socket,
    reader,
    clock,
    gaveUp,
    out,
    async [Symbol.asyncDispose]() {
      out.close();
      socket.destroy();
      reader.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('what is written between flushes leaves as one write', async () => {
  await using ends = await pair();
  const { out, socket, reader } = ends;
  let writes = 0;
  const write = socket.write.bind(socket);
  socket.write = ((...all: Parameters<typeof write>) => {
    writes += 1;
    return write(...all);
  }) as typeof socket.write;
  for (const word of ['* 1 EXISTS\r\n', 'a OK done\r\n']) out.write(word);
  assert.equal(writes, 0);
  out.flush();
  out.flush();
  assert.equal(writes, 1);
  assert.equal(String((await once(reader, 'data'))[0]), '* 1 EXISTS\r\na OK done\r\n');
});

test('send waits for a reader who stands still, holds no more than the bound, and goes on with him', async () => {
  await using ends = await pair();
  const { out, reader, gaveUp } = ends;
  const body = Buffer.alloc(20 * 1024 * 1024, 'x');
  let done = false;
  const sending = out.send(body).then(() => {
    done = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(done, false);
  assert.ok(out.waiting <= HIGH_WATER + 128 * 1024, `${out.waiting} bytes wait`);
  let received = 0;
  reader.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  await sending;
  await out.drained();
  while (received < body.length) await once(reader, 'data');
  assert.deepEqual(gaveUp, []);
});

test('notices that nobody reads are given up at the bound', async () => {
  await using ends = await pair();
  const { out, gaveUp } = ends;
  const notice = `* ${'1'.repeat(1000)} EXISTS\r\n`;
  let written = 0;
  while (gaveUp.length === 0 && written < 100_000) {
    out.write(notice);
    out.flush();
    written += 1;
  }
  assert.equal(gaveUp[0], 'overflow');
});

test('a reader who takes nothing for five minutes is given up; closing ends the wait', async () => {
  await using ends = await pair();
  const { out, clock, gaveUp } = ends;
  const sending = out.send(Buffer.alloc(20 * 1024 * 1024));
  const failed = assert.rejects(sending, ConnectionGone);
  await clock.timersSet();
  clock.advance(STALL_TIMEOUT - 1);
  assert.deepEqual(gaveUp, []);
  clock.advance(1);
  assert.deepEqual(gaveUp, ['stalled']);
  out.close();
  await failed;
  assert.equal(clock.waiting, 0);
});

test('compressed, every flush can be inflated at once, and what was written before stays as it was', async () => {
  await using ends = await pair();
  const { out, reader } = ends;
  const inflate = createInflateRaw();
  out.write('plain\r\n');
  out.compress();
  assert.equal(String((await once(reader, 'data'))[0]), 'plain\r\n');
  reader.pipe(inflate);
  for (const line of ['* OK one\r\n', '* OK two\r\n']) {
    const received = once(inflate, 'data');
    out.write(line);
    await out.drained();
    assert.equal(String((await received)[0]), line);
  }
  const received = once(inflate, 'data');
  const ended = once(reader, 'end');
  out.write('* BYE\r\n');
  out.end();
  assert.equal(String((await received)[0]), '* BYE\r\n');
  await ended;
});

test('a response that has begun goes on with the next one, or with one that says nothing new', async () => {
  await using ends = await pair();
  const { out, reader } = ends;
  const read = async () => String((await once(reader, 'data'))[0]);
  out.write('a OK done\r\n');
  out.beginResponse();
  out.beginResponse();
  await out.drained();
  assert.equal(await read(), 'a OK done\r\n* ');

  out.write('* 1 EXISTS\r\n');
  out.write('* 2 EXISTS\r\n');
  out.beginResponse();
  await out.drained();
  assert.equal(await read(), '1 EXISTS\r\n* 2 EXISTS\r\n* ');

  out.write('b OK done\r\n');
  out.beginResponse();
  await out.drained();
  assert.equal(await read(), '0 RECENT\r\nb OK done\r\n* ');

  await out.send(Buffer.from('* SEARCH 1\r\n'));
  await out.drained();
  assert.equal(await read(), 'SEARCH 1\r\n');
});
