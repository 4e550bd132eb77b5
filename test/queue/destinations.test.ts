import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOTS } from '../../src/queue/worker.ts';
import {
  MAX_ANSWERED,
  MAX_FAILING,
  PER_DESTINATION,
  PER_STRANGER,
  createDestinations,
} from '../../src/queue/destinations.ts';
import type { Destinations } from '../../src/queue/destinations.ts';
import { MAX_EXCEPT } from '../../src/store/contract.ts';

/** One that has answered. */
function known(destinations: Destinations, name: string): void {
  destinations.began(name);
  destinations.ended(name, true);
}

test('a destination has so many tries at once and no more', () => {
  const destinations = createDestinations(100);
  known(destinations, 'a.test');
  for (let left = PER_DESTINATION; left > 0; left--) {
    assert.equal(destinations.leastRoom(), Math.min(left, PER_STRANGER));
    assert.deepEqual(destinations.atBound(), []);
    destinations.began('a.test');
  }
  assert.deepEqual(destinations.atBound(), ['a.test']);
  assert.equal(destinations.leastRoom(), PER_STRANGER, 'others have all');
  destinations.ended('a.test', true);
  assert.deepEqual(destinations.atBound(), []);
});

test('one that has never answered has fewer', () => {
  const destinations = createDestinations(100);
  for (let left = PER_STRANGER; left > 0; left--) {
    assert.deepEqual(destinations.atBound(), []);
    assert.equal(destinations.leastRoom(), left);
    destinations.began('new.test');
  }
  assert.deepEqual(destinations.atBound(), ['new.test']);
  destinations.ended('new.test', true);
  assert.deepEqual(destinations.atBound(), []);
});

test('one that failed has one at a time until it answers', () => {
  const destinations = createDestinations(100);
  destinations.began('dead.test');
  destinations.ended('dead.test', false);
  assert.equal(destinations.leastRoom(), 1);
  destinations.began('dead.test');
  assert.deepEqual(destinations.atBound(), ['dead.test']);
  destinations.ended('dead.test', undefined);
  assert.equal(destinations.leastRoom(), 1, 'it was not asked');
  destinations.began('dead.test');
  destinations.ended('dead.test', true);
  assert.equal(destinations.leastRoom(), PER_STRANGER);
});

test('those that failed share half of the slots', () => {
  const destinations = createDestinations(4);
  for (const name of ['a.test', 'b.test', 'c.test']) {
    destinations.began(name);
    destinations.ended(name, false);
  }
  assert.equal(destinations.room(), 2);
  destinations.began('a.test');
  assert.equal(destinations.room(), 1);
  destinations.began('b.test');
  assert.deepEqual(destinations.atBound().toSorted(), ['a.test', 'b.test', 'c.test']);
  assert.equal(destinations.room(), 1, 'what is left is for others, but for a quarter');
});

test('what is remembered has a bound, and fits into one question to the store', () => {
  const destinations = createDestinations(SLOTS);
  for (let n = 0; n < 2 * MAX_FAILING; n++) {
    destinations.began(`d${n}.test`);
    destinations.ended(`d${n}.test`, false);
  }
  for (let n = 0; n < SLOTS / 2; n++) destinations.began(`d${2 * MAX_FAILING - 1 - n}.test`);
  assert.equal(destinations.atBound().length, MAX_FAILING);
  assert.ok(SLOTS + MAX_FAILING <= MAX_EXCEPT);
  for (let n = 0; n < 2 * MAX_ANSWERED; n++) {
    destinations.began(`e${n}.test`);
    destinations.ended(`e${n}.test`, true);
  }
  for (let n = 0; n < SLOTS; n++) destinations.began(`f${n}.test`);
  assert.equal(destinations.only(false)?.length, MAX_ANSWERED);
  assert.ok(MAX_ANSWERED <= MAX_EXCEPT);
});

test('a quarter is for those that answered the last time', () => {
  const destinations = createDestinations(8);
  assert.equal(destinations.only(true), undefined, 'there is none');
  known(destinations, 'good.test');
  assert.deepEqual(destinations.only(true), ['good.test'], 'it is their turn');
  for (let n = 0; n < 6; n++) {
    assert.equal(destinations.only(false), undefined);
    assert.equal(destinations.room(), 6 - n);
    destinations.began(`new${n}.test`);
  }
  assert.deepEqual(destinations.only(false), ['good.test']);
  assert.equal(destinations.room(), 8);
  destinations.began('good.test');
  destinations.ended('good.test', false);
  assert.deepEqual(destinations.only(false), [], 'it no longer does');
  destinations.ended('new0.test', undefined);
  assert.equal(destinations.only(false), undefined);
});
