import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLOCK_DRIFT,
  MAX_SIGNATURE_LENGTH,
  MAX_SIGNED_NAMES,
  keyName,
  readSignature,
  timeProblem,
} from '../../src/authenticity/signature.ts';
import type { Signature } from '../../src/authenticity/signature.ts';

const good = {
  v: '1',
  a: 'rsa-sha256',
  d: 'Example.org',
  s: 'Sel.2026',
  h: 'From:To : subject',
  bh: 'qqqq',
  b: 'AAAA BBBB\tCC==',
};

/** The tags of a good signature, some of them replaced; undefined leaves one out. */
function field(tags: Record<string, string | undefined> = {}): string {
  return Object.entries({ ...good, ...tags })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join('; ');
}

function readGood(tags: Record<string, string | undefined> = {}): Signature {
  const signature = readSignature(field(tags));
  assert.ok(!('problem' in signature), JSON.stringify(signature));
  return signature;
}

test('a signature is read in lower case, with the defaults of RFC 6376', () => {
  assert.deepEqual(readGood(), {
    domain: 'example.org',
    selector: 'sel.2026',
    identityDomain: 'example.org',
    keyType: 'rsa',
    bodyCanonicalization: 'simple',
    signedNames: ['from', 'to', 'subject'],
  });
  assert.equal(keyName(readGood()), 'sel.2026._domainkey.example.org');
});

test('every tag that matters is read, however it is spaced', () => {
  const tags = {
    a: 'Ed25519-SHA256',
    c: 'Simple/Relaxed',
    t: '1700000000',
    x: '1700000001',
    l: '0',
    q: 'x : dns/txt',
  };
  const signature = readSignature(
    ` ${field({ ...tags, i: 'a=40b@MAIL.example.org' }).replaceAll('=', ' =\t')} ; `,
  );
  assert.deepEqual(signature, {
    domain: 'example.org',
    selector: 'sel.2026',
    identityDomain: 'mail.example.org',
    keyType: 'ed25519',
    bodyCanonicalization: 'relaxed',
    signedNames: ['from', 'to', 'subject'],
    bodyLength: 0,
    signedAt: 1_700_000_000_000,
    expiresAt: 1_700_000_001_000,
  });
});

test('each of these is taken', () => {
  const cases: Record<string, string | undefined>[] = [
    { c: 'relaxed' },
    { c: 'relaxed/simple' },
    { i: '@example.org' },
    { i: '=22a=3Bb=22@example.org' },
    { z: 'From:a=40b|To:caf\xe9', unknown_1: '(anything) "goes"' },
    { d: '_teal.test', s: 's_1' },
    { d: 'localhost' },
    { h: 'from:from:from' },
    { l: '9'.repeat(76) },
    { h: Array.from({ length: MAX_SIGNED_NAMES }, () => 'from').join(':') },
  ];
  for (const tags of cases) readGood(tags);
  assert.equal(readGood({ c: 'relaxed' }).bodyCanonicalization, 'simple');
  assert.equal(readGood({ c: 'simple/relaxed' }).bodyCanonicalization, 'relaxed');
});

test('each of these is no signature, and says why', () => {
  const cases: [Record<string, string | undefined>, RegExp][] = [
    [{ v: undefined }, /v=/],
    [{ v: '2' }, /v=/],
    [{ v: '1.0' }, /v=/],
    [{ a: undefined }, /a=/],
    [{ a: 'rsa-sha1' }, /^rsa-sha1 does not count$/],
    [{ a: 'RSA-SHA1' }, /^rsa-sha1 does not count$/],
    [{ a: 'rsa-sha512' }, /a=/],
    [{ a: 'ed25519-sha1' }, /a=/],
    [{ a: 'dsa-sha256' }, /a=/],
    [{ d: undefined }, /d=/],
    [{ d: 'a b.org' }, /d=/],
    [{ d: 'example.org.' }, /d=/],
    [{ d: 'exämple.org' }, /d=/],
    [{ d: `${'a'.repeat(64)}.org` }, /d=/],
    [{ d: '[192.0.2.1]' }, /d=/],
    [{ s: undefined }, /s=/],
    [{ s: '' }, /s=/],
    [{ s: '../x' }, /s=/],
    [{ s: 'a.'.repeat(120) + 'a' }, /s=/],
    [{ c: 'nowsp' }, /c=/],
    [{ c: 'relaxed/simple/x' }, /c=/],
    [{ c: '' }, /c=/],
    [{ b: undefined }, /b=/],
    [{ b: '' }, /b=/],
    [{ b: 'AA%A' }, /b=/],
    [{ bh: undefined }, /bh=/],
    [{ q: 'http' }, /q=/],
    [{ h: undefined }, /h=/],
    [{ h: 'from:to subject' }, /h=/],
    [{ h: 'from::to' }, /h=/],
    [{ h: 'to:subject' }, /From is not signed/],
    [{ h: `from${':to'.repeat(MAX_SIGNED_NAMES)}` }, /too many names/],
    [{ i: '@example.com' }, /i=/],
    [{ i: '@notexample.org' }, /i=/],
    [{ i: '@org' }, /i=/],
    [{ i: 'example.org' }, /i=/],
    [{ i: 'x=40example.org@evil.test' }, /i=/],
    [{ t: 'yesterday' }, /t=/],
    [{ t: '1'.repeat(13) }, /t=/],
    [{ x: '-1' }, /x=/],
    [{ x: '1e9' }, /x=/],
    [{ l: '' }, /l=/],
    [{ l: '1'.repeat(77) }, /l=/],
    [{ t: '1700000000', x: '1700000000' }, /x= is not after t=/],
    [{ D: 'evil.test' }, /tag list/],
    [{ '\u00a0b': 'AAAA' }, /tag list/],
    [{ z: `a${' '.repeat(201)}a` }, /too long/],
    [{ z: 'a'.repeat(MAX_SIGNATURE_LENGTH) }, /too long/],
  ];
  for (const [tags, problem] of cases) {
    const signature = readSignature(field(tags));
    assert.ok('problem' in signature, JSON.stringify(tags));
    assert.match(signature.problem, problem, JSON.stringify(tags));
  }
});

test('a tag list that cannot be read is no signature', () => {
  const cases: [string, RegExp][] = [
    ['', /d=/],
    [';', /tag list/],
    ['v=1;;a=rsa-sha256', /tag list/],
    ['nothing', /tag list/],
    ['=1', /tag list/],
    [`${field()}; d=evil.test`, /tag d= comes twice/],
    [`${field()};;`, /tag list/],
    ['\0\xff'.repeat(50), /tag list/],
  ];
  for (const [value, problem] of cases) {
    const signature = readSignature(value);
    assert.ok('problem' in signature, value);
    assert.match(signature.problem, problem, value);
  }
});

test('the domain of a broken signature is told where it can be read', () => {
  assert.deepEqual(readSignature(field({ a: 'x' })), {
    problem: 'unknown algorithm in a=',
    domain: 'example.org',
    selector: 'sel.2026',
  });
});

test('time counts with the drift of another clock', () => {
  const now = 1_700_000_000_000;
  const at = (ms: number) => String(Math.floor(ms / 1000));
  const cases: [Record<string, string>, string | undefined][] = [
    [{}, undefined],
    [{ t: at(now + CLOCK_DRIFT) }, undefined],
    [{ t: at(now + CLOCK_DRIFT + 1000) }, 'signed in the future'],
    [{ x: at(now - CLOCK_DRIFT) }, undefined],
    [{ x: at(now - CLOCK_DRIFT - 1000) }, 'expired'],
    [{ t: '0', x: at(now + 1000) }, undefined],
  ];
  for (const [tags, problem] of cases)
    assert.equal(timeProblem(readGood(tags), now), problem, JSON.stringify(tags));
});
