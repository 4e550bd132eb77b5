import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDateTime, parseDate, parseDateTime } from '../../../src/imap/wire/date-time.ts';

test('an internal date is written in UTC, the day filled with a blank', () => {
  assert.equal(formatDateTime(Date.UTC(1996, 6, 1, 2, 44, 25, 999)), ' 1-Jul-1996 02:44:25 +0000');
  assert.equal(formatDateTime(Date.UTC(2024, 11, 31, 23, 59, 59)), '31-Dec-2024 23:59:59 +0000');
  assert.equal(formatDateTime(0), ' 1-Jan-1970 00:00:00 +0000');
});

test('a date-time is read with its zone', () => {
  const at = (text: string) => parseDateTime(text);
  assert.equal(at('17-Jul-1996 02:44:25 -0700'), Date.UTC(1996, 6, 17, 9, 44, 25));
  assert.equal(at(' 1-jan-2000 00:00:00 +0530'), Date.UTC(1999, 11, 31, 18, 30, 0));
  assert.equal(at('1-Jan-2000 00:00:00 +0000'), Date.UTC(2000, 0, 1));
  assert.equal(at('29-Feb-2024 00:00:60 +0000'), Date.UTC(2024, 1, 29, 0, 1, 0));
  for (const ms of [0, 1_700_000_000_000, Date.UTC(2038, 0, 19, 3, 14, 8)])
    assert.equal(at(formatDateTime(ms)), ms);
  for (const bad of [
    '',
    '29-Feb-2023 00:00:00 +0000',
    '0-Jan-2000 00:00:00 +0000',
    '32-Jan-2000 00:00:00 +0000',
    '01-Foo-2000 00:00:00 +0000',
    '01-Jan-2000 24:00:00 +0000',
    '01-Jan-2000 00:60:00 +0000',
    '01-Jan-2000 00:00:00',
    '01-Jan-2000 00:00:00 +0060',
    '01-Jan-2000 00:00:00 GMT',
    '01-Jan-00 00:00:00 +0000',
    'x01-Jan-2000 00:00:00 +0000',
  ])
    assert.equal(at(bad), undefined, bad);
});

test('a date is a day of the calendar', () => {
  assert.equal(parseDate('1-Jan-1970'), 0);
  assert.equal(parseDate('01-FEB-1970'), 31);
  assert.equal(parseDate('31-Dec-1969'), -1);
  assert.equal(parseDate('1-Jan-0050'), Math.round(Date.parse('0050-01-01T00:00:00Z') / 86_400_000));
  for (const bad of ['', '1-Jan', '30-Feb-2000', '0-Jan-2000', '1-1-2000', ' 1-Jan-2000', '1-Jan-20000'])
    assert.equal(parseDate(bad), undefined, bad);
});
