import type { Consignment, RecipientOutcome } from './consignment.ts';
import { stuffDots } from './dot-stuffing.ts';
import { refusedBy, Stopped, textOf, trouble } from './problem.ts';
import type { Reply } from './reply.ts';
import { Unconfirmed } from './smtp-client.ts';
import type { SmtpClient } from './smtp-client.ts';
import { SmtpRefused } from './smtp-wire.ts';

/**
 * One mail transaction (RFC 5321 3.3) for all recipients, each with an outcome of its own. `reused`: whether there was one
 * before on this connection, which is over by RSET then. `clean` tells whether the connection can be used again. Throws
 * Stopped where the connection broke: with `tryNext` where the dot was not sent, so that no other host can make a second
 * copy.
 */
export async function transact(
  client: SmtpClient,
  host: string,
  consignment: Consignment,
  reused: boolean,
  signal: AbortSignal,
): Promise<{ outcomes: RecipientOutcome[]; clean: boolean }> {
  const { recipients, message } = consignment;
  const tooBig = sizeProblem(client, host, message.length);
  if (tooBig) return { outcomes: recipients.map(() => tooBig), clean: true };

  const broken = (error: unknown): never => {
    if (error instanceof SmtpRefused && error.reply) {
      const { problem } = refusedBy(host, error.reply, 'to go on');
      throw new Stopped('deferred', problem, true);
    }
    const why = textOf(error);
    if (error instanceof Unconfirmed) {
      const text = `${host} did not confirm the message, which it may have taken: ${why}`;
      throw new Stopped('deferred', trouble('4.4.2', text, host));
    }
    throw new Stopped('deferred', trouble('4.4.2', `the connection to ${host} broke: ${why}`, host), true);
  };
  const [mail, rcpts, data] = await envelope(client, consignment, reused, signal).catch(broken);
  if (mail.code === 421) broken(new SmtpRefused('it goes away', mail));
  if (mail.code >= 300) {
    const outcome = refusedBy(host, mail, 'the sender');
    return { outcomes: recipients.map(() => outcome), clean: !begins(data) };
  }
  const refused = rcpts.map((reply) =>
    reply.code < 300 ? undefined : refusedBy(host, reply, 'the recipient'),
  );
  const accepted = refused.some((outcome) => outcome === undefined);
  // Without a recipient there is no text to send, and an empty one would be a message to some (RFC 2920 3.1): the
  // connection ends instead.
  if (!accepted || data === undefined)
    return { outcomes: refused.map((outcome) => outcome ?? NEVER), clean: !begins(data) };
  const ends = (outcome: RecipientOutcome) => refused.map((each) => each ?? outcome);
  if (!begins(data)) return { outcomes: ends(refusedBy(host, data, 'the message')), clean: true };
  // A reply too many before the text would be taken for the one to its dot.
  if (!client.usable) broken(new Error('it hung up, or said more than it was asked'));
  const reply = await client.text(stuffDots(message), signal).catch(broken);
  const outcome: RecipientOutcome =
    reply.code < 300 ? { kind: 'delivered', via: 'smtp', host } : refusedBy(host, reply, 'the message');
  return { outcomes: ends(outcome), clean: client.usable };
}

/** `accepted` is false, so each has an outcome already. */
const NEVER: RecipientOutcome = { kind: 'deferred', problem: trouble('4.4.2', 'no answer') };

function begins(data: Reply | undefined): boolean {
  return data?.code === 354;
}

/** MAIL, RCPT for each, DATA: at once where the server takes that (RFC 2920). */
async function envelope(
  client: SmtpClient,
  { sender, recipients, message }: Consignment,
  reused: boolean,
  signal: AbortSignal,
): Promise<[mail: Reply, rcpts: Reply[], data: Reply | undefined]> {
  const parameters = [
    client.extensions.has('SIZE') ? ` SIZE=${message.length}` : '',
    client.extensions.has('8BITMIME') ? ' BODY=8BITMIME' : '',
  ];
  const mail = `MAIL FROM:<${sender}>${parameters.join('')}`;
  const rcpts = recipients.map((recipient) => `RCPT TO:<${recipient}>`);
  if (client.extensions.has('PIPELINING')) {
    const reset = reused ? ['RSET'] : [];
    const replies = await client.commands([...reset, mail, ...rcpts, 'DATA'], signal);
    if (reused) expectReset(replies.shift());
    return [replies[0]!, replies.slice(1, -1), replies.at(-1)];
  }
  if (reused) expectReset((await client.commands(['RSET'], signal))[0]);
  const [first] = await client.commands([mail], signal);
  if (first!.code >= 300) return [first!, [], undefined];
  const answers: Reply[] = [];
  for (const rcpt of rcpts) answers.push(...(await client.commands([rcpt], signal)));
  if (answers.every(({ code }) => code >= 300)) return [first!, answers, undefined];
  const [data] = await client.commands(['DATA'], signal);
  return [first!, answers, data];
}

/** RFC 5321 4.1.1.5: nothing but 250 can come; else nobody knows what of the last transaction still counts. */
function expectReset(reply: Reply | undefined): void {
  if (reply?.code !== 250) throw new Error('it cannot begin anew on an old connection');
}

/** RFC 1870: what is above the server's limit is not sent to hear that. */
function sizeProblem({ extensions }: SmtpClient, host: string, size: number): RecipientOutcome | undefined {
  const limit = Number(extensions.get('SIZE') ?? 0);
  if (!(limit > 0 && size > limit)) return undefined;
  return {
    kind: 'failed',
    problem: trouble('5.3.4', `${host} takes messages of ${limit} bytes at most, this one has ${size}`, host),
  };
}
