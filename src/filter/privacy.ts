/**
 * Every edit that mailflow makes to a message (relay.md 4, "Header cleanup"); all other bytes stay as they came.
 *
 * | field                                  | submitted by a user | delivered here |
 * |----------------------------------------|---------------------|----------------|
 * | Received                               | dropped             | dropped        |
 * | DKIM-Signature, Authentication-Results | dropped             | dropped        |
 * | X-Originating-IP, X-Mailer, User-Agent | dropped             | kept           |
 * | Subject, each                          | `Subject: [...]`    | kept           |
 *
 * Names are case-insensitive, a folded field goes whole, no field is added, MIME part headers are left alone. Mail
 * from one user of ours to another takes both columns, submission first.
 */
import { editFields, withoutFields } from '../message/header.ts';
import type { Header } from '../message/header.ts';

const trace = ['received', 'dkim-signature', 'authentication-results'];

/** Upstream's submission_header_cleanup; signature and verdict fields too, for they are ours to write. */
const droppedAtSubmission: ReadonlySet<string> = new Set([
  ...trace,
  'x-originating-ip',
  'x-mailer',
  'user-agent',
]);

/** Upstream's lmtp_header_cleanup. */
const droppedAtDelivery: ReadonlySet<string> = new Set(trace);

const SUBJECT = 'Subject: [...]\r\n';

/**
 * A user's message as it goes on: without what tells about the user's network and software, and without its subject.
 * The same buffer where there is nothing to do.
 */
export function cleanSubmission(message: Buffer, header: Header): Buffer {
  return editFields(message, header, (field) => {
    if (droppedAtSubmission.has(field.key)) return '';
    if (field.key !== 'subject') return undefined;
    const written = message.toString('latin1', field.start, field.end);
    return written === SUBJECT ? undefined : SUBJECT;
  });
}

/** A message as it is laid into a mailbox: without its trace and signatures, to be called after DKIM was judged. */
export function cleanDelivery(message: Buffer, header: Header): Buffer {
  return withoutFields(message, header, droppedAtDelivery);
}
