import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Consignment } from '../../src/outbound/consignment.ts';
import { Stopped } from '../../src/outbound/problem.ts';
import { connectSmtp, STEP_TIME } from '../../src/outbound/smtp-client.ts';
import type { SmtpClient } from '../../src/outbound/smtp-client.ts';
import { transact } from '../../src/outbound/transaction.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { drop, hang, inTurn, raw, say } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedHosts } from '../harness/scripted-hosts.ts';
import type { ScriptedSmtp, SmtpScript } from '../harness/scripted-smtp.ts';
import { until } from '../harness/until.ts';

const never = new AbortController().signal;
const message = Buffer.from('Subject: [...]\r\n\r\n.hello\r\n');
const three = ['a@x.test', 'b@x.test', 'c@x.test'];
const consignment = (recipients: readonly string[] = three): Consignment => ({
  destination: 'x.test',
  sender: 'alice@one.test',
  recipients,
  message,
});

describe('a transaction of SMTP', { timeout: 60_000 }, () => {
  let hosts: ScriptedHosts;
  let server: ScriptedSmtp;
  let clock: TestClock;

  before(async () => {
    hosts = await createScriptedHosts();
    server = await hosts.smtp('mx.test');
  });
  after(() => hosts[Symbol.asyncDispose]());

  const connect = async (script: SmtpScript): Promise<SmtpClient> => {
    server.script = script;
    clock = createTestClock();
    const parts = { dial: hosts.dial, clock, helo: 'one.test' };
    return connectSmtp(parts, 'mx.test', hosts.tlsFor('x.test', 'mx.test'), never);
  };
  const send = async (script: SmtpScript, given = consignment()) => {
    using client = await connect(script);
    return await transact(client, 'mx.test', given, false, never);
  };
  const stop = async (script: SmtpScript): Promise<Stopped> => {
    const error: unknown = await send(script).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Stopped, String(error));
    assert.equal(error.outcome, 'deferred');
    return error;
  };
  const last = () => server.connections.at(-1)!;
  /** What was said behind TLS, without QUIT. */
  const said = () =>
    last()
      .commands.slice(3)
      .filter((line) => line !== 'QUIT');
  const kinds = ({ outcomes }: Awaited<ReturnType<typeof transact>>) =>
    outcomes.map((outcome) =>
      outcome.kind === 'delivered' ? outcome.kind : [outcome.kind, outcome.problem.reply],
    );

  for (const offers of [['PIPELINING', 'SIZE 10000', '8BITMIME'], []] as const) {
    const pipelining = offers.length > 0;
    describe(pipelining ? 'with PIPELINING' : 'without any extension', () => {
      test('one for all recipients, dot-stuffed', async () => {
        const result = await send({ offers });
        assert.deepEqual(
          result.outcomes,
          three.map(() => ({ kind: 'delivered', via: 'smtp', host: 'mx.test' })),
        );
        assert.equal(result.clean, true);
        assert.deepEqual(said(), [
          `MAIL FROM:<alice@one.test>${pipelining ? ` SIZE=${message.length} BODY=8BITMIME` : ''}`,
          ...three.map((recipient) => `RCPT TO:<${recipient}>`),
          'DATA',
        ]);
        assert.deepEqual(last().transactions, [
          { sender: 'alice@one.test', recipients: three, text: 'Subject: [...]\r\n\r\n..hello\r\n' },
        ]);
      });

      test('the null sender', async () => {
        await send({ offers }, { ...consignment(), sender: '' });
        assert.match(said()[0] ?? '', /^MAIL FROM:<>/);
      });

      test('each recipient has the outcome that was told for it', async () => {
        const result = await send({
          offers,
          rcpt: (_, place) => [undefined, say('550 5.1.1 no such user'), say('450 4.2.1 not now')][place],
        });
        assert.deepEqual(kinds(result), [
          'delivered',
          ['failed', '550 5.1.1 no such user'],
          ['deferred', '450 4.2.1 not now'],
        ]);
        assert.deepEqual(last().transactions[0]?.recipients, ['a@x.test']);
      });

      test('where the text is refused, those refused before keep their outcome', async () => {
        const script: SmtpScript = {
          offers,
          rcpt: (_, place) => (place === 1 ? say('550 5.1.1 no such user') : undefined),
        };
        const mixed = (code: string, kind: string) => [
          [kind, code],
          ['failed', '550 5.1.1 no such user'],
          [kind, code],
        ];
        for (const [line, kind] of [
          ['554 5.7.1 No valid DKIM signature found', 'failed'],
          ['451 4.7.5 later', 'deferred'],
          ['354 what more', 'deferred'],
        ] as const) {
          assert.deepEqual(kinds(await send({ ...script, dot: say(line) })), mixed(line, kind));
          assert.deepEqual(
            kinds(await send({ ...script, data: say(line === '354 what more' ? '250 odd' : line) })),
            mixed(line === '354 what more' ? '250 odd' : line, kind),
          );
        }
      });

      test('a refused sender is that for all, and no text is sent', async () => {
        const result = await send({
          offers,
          mail: say('553 5.7.1 not that sender'),
          rcpt: () => say('503 5.5.1 MAIL first'),
        });
        assert.deepEqual(
          kinds(result),
          three.map(() => ['failed', '553 5.7.1 not that sender']),
        );
        assert.equal(result.clean, true);
        assert.deepEqual(last().transactions, []);
      });

      test('where all recipients are refused there is no text, whatever DATA is answered', async () => {
        for (const data of [undefined, say('354 go on'), say('503 5.5.1 no')]) {
          const result = await send({
            offers,
            rcpt: () => say('451 4.7.1 greylisted'),
            ...(data ? { data } : {}),
          });
          assert.deepEqual(
            kinds(result),
            three.map(() => ['deferred', '451 4.7.1 greylisted']),
          );
          assert.equal(said().includes('DATA'), pipelining);
          await until(() => server.open === 0, 'the connection is closed');
          assert.deepEqual(last().transactions, [], 'no empty message either');
          const begun = pipelining && data !== undefined && last().commands.at(-1) === 'DATA';
          if (begun) assert.equal(result.clean, !begun);
        }
      });

      test('no answer to the dot: nobody else is to have it', async () => {
        for (const dot of [drop, say('what?'), raw('2')]) {
          const stopping = stop({ offers, dot: dot === drop ? dot : inTurn(dot, drop) });
          const { tryNext, problem } = await stopping;
          assert.equal(tryNext, false);
          assert.equal(problem.status, '4.4.2');
          assert.match(problem.text, /mx\.test did not confirm the message, which it may have taken: /);
        }
      });

      test('what breaks before the dot is for another host to take', async () => {
        for (const script of [
          { mail: drop },
          { rcpt: () => drop },
          { data: drop },
          { data: say('no SMTP') },
          { data: say('354 go on', '250 taken already') },
          { data: say('354 go on', '550 5.1.1 no such user, by the way') },
        ] as SmtpScript[]) {
          const { tryNext, problem } = await stop({ offers, ...script });
          assert.equal(tryNext, true, problem.text);
          assert.match(problem.text, /^the connection to mx\.test broke: /);
          assert.deepEqual(last().transactions, []);
        }
      });

      test('a server that goes away is told with its words, for another host to take', async () => {
        const away = inTurn(say('421 4.3.2 shutting down'), drop);
        for (const script of [{ mail: away }, { rcpt: () => away }] as SmtpScript[]) {
          const { tryNext, problem } = await stop({ offers, ...script });
          assert.equal(tryNext, true, problem.text);
          assert.equal(problem.reply, '421 4.3.2 shutting down');
          assert.equal(problem.text, 'mx.test refused to go on');
        }
      });
    });
  }

  test('a reply too many is no answer to the text', async () => {
    const result = await send({ rcpt: () => say('250 ok', '250 ok twice') }, consignment(['a@x.test']));
    assert.deepEqual(kinds(result), [['deferred', '250 ok twice']]);
    await until(() => server.open === 0, 'the connection is closed');
    assert.deepEqual(last().transactions, []);
  });

  test('421 for one recipient by a server that goes on is for that one', async () => {
    const result = await send({ rcpt: (_, place) => (place === 2 ? say('421 4.7.0 too many') : undefined) });
    assert.deepEqual(kinds(result), ['delivered', 'delivered', ['deferred', '421 4.7.0 too many']]);
  });

  test('a hundred recipients, one in three refused, by few packets', async () => {
    const many = Array.from({ length: 100 }, (_, n) => `user${n}@x.test`);
    const result = await send(
      { rcpt: (_, place) => (place % 3 === 2 ? say('550 5.1.1 no such user') : undefined) },
      consignment(many),
    );
    assert.deepEqual(
      result.outcomes.map(({ kind }) => kind),
      many.map((_, n) => (n % 3 === 2 ? 'failed' : 'delivered')),
    );
    assert.equal(last().transactions[0]?.recipients.length, 67);
  });

  test('what is above the limit of the server is not sent', async () => {
    const result = await send({ offers: [`SIZE ${message.length - 1}`] });
    assert.deepEqual(said(), []);
    for (const outcome of result.outcomes) {
      assert.ok(outcome.kind === 'failed');
      assert.equal(outcome.problem.status, '5.3.4');
      assert.match(outcome.problem.text, /takes messages of \d+ bytes at most, this one has \d+/);
    }
    for (const size of [`SIZE ${message.length}`, 'SIZE 0', 'SIZE', 'SIZE x'])
      assert.equal((await send({ offers: [size] })).outcomes[0]?.kind, 'delivered', size);
  });

  test('on a connection that was used before it begins by RSET', async () => {
    for (const offers of [['PIPELINING'], []]) {
      using client = await connect({ offers });
      await transact(client, 'mx.test', consignment(['a@x.test']), false, never);
      const again = await transact(client, 'mx.test', consignment(['b@x.test']), true, never);
      assert.equal(again.outcomes[0]?.kind, 'delivered');
      assert.deepEqual(
        said().map((line) => line.split(' ', 1)[0]),
        ['MAIL', 'RCPT', 'DATA', 'RSET', 'MAIL', 'RCPT', 'DATA'],
      );
      assert.deepEqual(
        last().transactions.map(({ recipients }) => recipients),
        [['a@x.test'], ['b@x.test']],
      );
    }
  });

  test('where RSET does not go well another connection is to be used', async () => {
    for (const offers of [['PIPELINING'], []]) {
      for (const rset of [say('500 what?'), say('421 bye'), drop, say('no SMTP')]) {
        const client = await connect({ offers, rset });
        const first = await transact(client, 'mx.test', consignment(), false, never);
        assert.equal(first.outcomes[0]?.kind, 'delivered', 'what was delivered before stays so');
        const error: unknown = await transact(client, 'mx.test', consignment(), true, never).catch(
          (e: unknown) => e,
        );
        client[Symbol.dispose]();
        assert.ok(error instanceof Stopped && error.tryNext);
        await until(() => server.open === 0, 'the connection is closed');
        assert.equal(last().transactions.length, 1);
      }
    }
  });

  test('ten minutes without an answer to the dot: deferred, and told so', async () => {
    const stopping = stop({ dot: hang });
    await until(() => server.connections.at(-1)?.transactions.length === 1, 'it has all');
    await until(() => clock.nextDue === clock.now() + STEP_TIME.dot, 'it waits');
    clock.advance(STEP_TIME.dot);
    assert.match((await stopping).problem.text, /did not confirm .* took more than 600 s/);
  });
});
