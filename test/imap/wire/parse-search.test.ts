import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandOf, problemOf } from '../../harness/imap-command.ts';
import type { Pieces } from '../../harness/imap-command.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const one = [{ from: 1, to: 1 }];
const flag = (name: string) => ({ kind: 'flag', flag: name });

test('search keys become a tree', () => {
  const key = (...pieces: Pieces) => {
    const parsed = commandOf(`SEARCH ${pieces[0]}`, ...pieces.slice(1));
    assert.ok(parsed.name === 'SEARCH');
    return parsed.key;
  };
  const not = (of: unknown) => ({ kind: 'not', key: of });
  const cases: readonly (readonly [Pieces, unknown])[] = [
    [['ALL'], { kind: 'all' }],
    [['NEW'], { kind: 'nothing' }],
    [['unseen'], not(flag('\\Seen'))],
    [['SEEN DELETED'], { kind: 'and', keys: [flag('\\Seen'), flag('\\Deleted')] }],
    [['(SEEN)'], flag('\\Seen')],
    [
      ['OR SEEN OR DRAFT NOT FLAGGED'],
      { kind: 'or', keys: [flag('\\Seen'), flag('\\Draft'), not(flag('\\Flagged'))] },
    ],
    [
      ['OR OR SEEN DRAFT (ALL ANSWERED) 1'],
      {
        kind: 'and',
        keys: [
          {
            kind: 'or',
            keys: [
              { kind: 'or', keys: [flag('\\Seen'), flag('\\Draft')] },
              { kind: 'and', keys: [{ kind: 'all' }, flag('\\Answered')] },
            ],
          },
          { kind: 'numbers', set: one },
        ],
      },
    ],
    [['KEYWORD $Junk'], flag('$Junk')],
    [['UNKEYWORD x'], not(flag('x'))],
    [['UID 1'], { kind: 'uids', set: one }],
    [['*'], { kind: 'numbers', set: [{ from: '*', to: '*' }] }],
    [['SINCE 2-Jan-1970'], { kind: 'internal-date', relation: 'since', day: 1 }],
    [['BEFORE "1-Feb-1970"'], { kind: 'internal-date', relation: 'before', day: 31 }],
    [['SENTON 1-jan-1970'], { kind: 'sent-date', relation: 'on', day: 0 }],
    [['LARGER 10'], { kind: 'size', relation: 'larger', size: 10 }],
    [['SMALLER 10'], { kind: 'size', relation: 'smaller', size: 10 }],
    [['FROM "me"'], { kind: 'header', field: 'from', value: bytes('me') }],
    [['HEADER Message-ID ', '<a>', ''], { kind: 'header', field: 'message-id', value: bytes('<a>') }],
    [['HEADER X-Y ""'], { kind: 'header', field: 'x-y', value: bytes('') }],
    [
      ['BODY x TEXT ', 'y\xff', ''],
      {
        kind: 'and',
        keys: [
          { kind: 'body', value: bytes('x') },
          { kind: 'text', value: bytes('y\xff') },
        ],
      },
    ],
    [['MODSEQ 5'], { kind: 'modseq', modseq: 5 }],
    [['MODSEQ "/flags/\\\\draft" all 620162338'], { kind: 'modseq', modseq: 620162338 }],
    [['BODY NIL'], { kind: 'body', value: bytes('NIL') }],
  ];
  for (const [pieces, expected] of cases) assert.deepEqual(key(...pieces), expected, pieces.join('|'));

  assert.deepEqual(commandOf('UID SEARCH CHARSET utf-8 FROM "me"'), {
    name: 'SEARCH',
    uid: true,
    key: { kind: 'header', field: 'from', value: bytes('me') },
  });
  assert.deepEqual(commandOf('SEARCH CHARSET koi8-r ALL'), {
    name: 'SEARCH',
    uid: false,
    charset: 'KOI8-R',
    key: { kind: 'all' },
  });
  assert.deepEqual(commandOf('SEARCH RETURN (min COUNT) ALL'), {
    name: 'SEARCH',
    uid: false,
    returns: ['MIN', 'COUNT'],
    key: { kind: 'all' },
  });
});

test('searches are bounded in depth, keys and strings, but long chains of OR are not deep', () => {
  const chain = commandOf(`SEARCH ${'OR KEYWORD a '.repeat(300)}SEEN`);
  assert.ok(chain.name === 'SEARCH' && chain.key.kind === 'or' && chain.key.keys.length === 301);
  commandOf(`SEARCH ${'('.repeat(50)}ALL${')'.repeat(50)}`);
  assert.equal(problemOf(`SEARCH ${'('.repeat(52)}ALL${')'.repeat(52)}`), 'Search too deep');
  assert.equal(problemOf(`SEARCH ${'NOT '.repeat(10_000)}ALL`), 'Search too deep');
  assert.equal(problemOf(`SEARCH ${'OR '.repeat(10_000)}ALL`), 'Search too deep');
  assert.equal(problemOf(`SEARCH ${'SEEN '.repeat(1001)}`), 'Too many search keys');
  commandOf(`SEARCH ${'FROM a HEADER X b '.repeat(25)}`);
  assert.equal(problemOf(`SEARCH ${'FROM a HEADER X b '.repeat(26)}`), 'Too many header searches');
  assert.equal(problemOf(`SEARCH ${'BODY x '.repeat(21)}`), 'Too many text searches');
  assert.equal(problemOf(`SEARCH BODY ${'x'.repeat(1025)}`), 'Search string too long');
});
