import assert from 'node:assert/strict';
import type { LoggedEvent } from '../harness/event-log.ts';

/** What happened to a recipient, life by life of the relay that was killed in between. */
interface Recipient {
  /** The message is the number that stands in it. */
  readonly number: number;
  /** The relay has said 250. */
  promised: boolean;
  /** Lives in which the receiver took the message for it, or refused it for good. */
  readonly takenIn: number[];
  readonly refusedIn: number[];
  /** Bounces in the sender's mailbox that name it. */
  bounces: number;
}

/** Kept outside the relay: what it has promised, and what was seen of it at the receiver. */
export function createDeliveries() {
  const recipients = new Map<string, Recipient>();
  /** Outcomes that the receiver has told and that the relay had not settled when it was killed. */
  const unsettled = { taken: 0, refused: 0 };
  const of = (address: string): Recipient => {
    const known = recipients.get(address);
    assert.ok(known, `${address} got mail that nobody has sent`);
    return known;
  };
  const count = (events: readonly LoggedEvent[], event: string) =>
    events.filter((one) => one.event === event).reduce((sum, one) => sum + Number(one['recipients']), 0);

  return {
    /** So far, over all lives. */
    unsettled: () => ({ ...unsettled }),
    submitted(addresses: readonly string[], number: number): void {
      for (const address of addresses)
        recipients.set(address, { number, promised: false, takenIn: [], refusedIn: [], bounces: 0 });
    },
    promised(addresses: readonly string[]): void {
      for (const address of addresses) of(address).promised = true;
    },
    /** All that the receiver has seen in one life, and what the relay has logged in it. */
    lived(
      life: number,
      taken: readonly { readonly addresses: readonly string[]; readonly text: string }[],
      refused: readonly string[],
      events: readonly LoggedEvent[],
    ): void {
      for (const { addresses, text } of taken) {
        assert.match(text, /^DKIM-Signature: /, 'it is signed');
        for (const address of addresses) {
          const known = of(address);
          assert.match(text, new RegExp(`^X-Number: ${known.number}\r$`, 'm'), 'it is the right message');
          assert.ok(!known.takenIn.includes(life), `${address} was sent to twice with no crash between`);
          known.takenIn.push(life);
        }
      }
      for (const address of refused) {
        const known = of(address);
        assert.ok(!known.refusedIn.includes(life), `${address} was refused twice with no crash between`);
        known.refusedIn.push(life);
      }
      // The line comes after the settlement: what is logged is never done again.
      const left = {
        taken: taken.flatMap(({ addresses }) => addresses).length - count(events, 'mail-delivered'),
        refused: refused.length - count(events, 'mail-failed'),
      };
      assert.ok(left.taken >= 0 && left.refused >= 0, 'what is settled was told by the receiver');
      unsettled.taken += left.taken;
      unsettled.refused += left.refused;
      for (const event of ['mail-deferred', 'bounce-suppressed', 'fault'])
        assert.deepEqual(
          events.filter((one) => one.event === event),
          [],
          'nothing went wrong',
        );
    },
    bounced(addresses: readonly string[]): void {
      for (const address of addresses) of(address).bounces += 1;
    },
    /**
     * At the end, with nothing in the queue: all that was promised is there, and what is there more than once was under
     * way at a kill.
     */
    verify(isRefused: (address: string) => boolean) {
      let twice = 0;
      let bouncedTwice = 0;
      for (const [address, { promised, takenIn, refusedIn, bounces }] of recipients) {
        if (isRefused(address)) {
          assert.equal(takenIn.length, 0);
          if (promised) assert.ok(bounces > 0, `${address}: accepted, refused, and the sender was not told`);
          assert.ok(bounces <= refusedIn.length, `${address}: more bounces than tries`);
          bouncedTwice += Math.max(bounces - 1, 0);
        } else {
          assert.equal(bounces, 0, `${address} has the message, and the sender was told otherwise`);
          if (promised) assert.ok(takenIn.length > 0, `${address}: accepted, and lost`);
          twice += Math.max(takenIn.length - 1, 0);
        }
      }
      assert.ok(twice <= unsettled.taken, `${twice} came twice, ${unsettled.taken} were under way at a kill`);
      assert.ok(bouncedTwice <= unsettled.refused, `${bouncedTwice} bounced twice of ${unsettled.refused}`);
      const all = [...recipients.values()];
      return {
        recipients: all.length,
        promised: all.filter(({ promised }) => promised).length,
        bounces: all.reduce((sum, { bounces }) => sum + bounces, 0),
        twice,
        bouncedTwice,
      };
    },
  };
}
