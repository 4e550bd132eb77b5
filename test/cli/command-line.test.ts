import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../src/cli/command.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { commands } from '../../src/cli/commands.ts';

function parse(line: string) {
  const { command, flags, words } = parseCommandLine(commands, line === '' ? [] : line.split(' '));
  return { name: command.name, flags: Object.fromEntries(flags), words };
}

describe('a command line that can be understood', () => {
  const cases: readonly [
    line: string,
    name: string,
    flags: Record<string, string | true>,
    words: string[],
  ][] = [
    ['serve', 'serve', {}, []],
    ['serve --lan', 'serve', { lan: true }, []],
    ['serve --config x.ini --lan', 'serve', { config: 'x.ini', lan: true }, []],
    ['serve --config=x=y.ini', 'serve', { config: 'x=y.ini' }, []],
    ['serve --config=--lan', 'serve', { config: '--lan' }, []],
    ['config check', 'config check', {}, []],
    ['config show --config x', 'config show', { config: 'x' }, []],
    ['help', 'help', {}, []],
    ['help config check', 'help', {}, ['config', 'check']],
    ['help -- --lan', 'help', {}, ['--lan']],
    ['help -- -h', 'help', {}, ['-h']],
    ['--help', 'help', {}, []],
    ['-h', 'help', {}, []],
    ['config check --help', 'help', {}, ['config', 'check']],
    ['serve --nonsense -h', 'help', {}, ['serve']],
    ['--version', 'version', {}, []],
  ];
  for (const [line, name, flags, words] of cases)
    test(`teal ${line}`, () => assert.deepEqual(parse(line), { name, flags, words }));
});

describe('a command line that cannot', () => {
  const cases: readonly [line: string, message: RegExp, command?: string][] = [
    ['', /^no command is given$/],
    ['srve', /^unknown command "srve", the nearest is serve$/],
    ['config', /^teal config needs one more word: config check, config show$/],
    ['config --config x', /^teal config needs one more word/],
    ['config chek', /^unknown command "config chek", the nearest is config check$/],
    ['confg show', /^unknown command "confg show", the nearest is config show$/],
    ['--lan', /^the command comes before "--lan"$/],
    ['--lan serve', /^the command comes before "--lan"$/],
    ['serve --lna', /^unknown flag "--lna": teal serve has --lan$/, 'serve'],
    ['serve -l', /^unknown flag "-l": teal serve has --/, 'serve'],
    ['version --lan', /^unknown flag "--lan": teal version has no flags$/, 'version'],
    ['serve --lan --lan', /^--lan is given twice$/, 'serve'],
    ['serve --lan=yes', /^--lan takes no value$/, 'serve'],
    ['serve --config', /^--config needs a value: --config FILE$/, 'serve'],
    ['serve --config --lan', /^--config needs a value: --config FILE$/, 'serve'],
    ['serve --config=', /^--config needs a value: --config FILE$/, 'serve'],
    ['serve now', /^unexpected argument "now": teal serve takes none$/, 'serve'],
    ['help a b c', /^unexpected argument "c": teal help takes at most 2$/, 'help'],
    ['serve -- --lan', /^unexpected argument "--lan"/, 'serve'],
  ];
  for (const [line, message, command] of cases)
    test(`teal ${line}`, () => {
      assert.throws(
        () => parse(line),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.message, message);
          assert.equal(error.command, command);
          return true;
        },
      );
    });
});

test('any command line is understood or is a UsageError', () => {
  const word = fc.oneof(
    fc.constantFrom('serve', 'config', 'check', 'help', '--config', '--lan', '--', '-h'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
      try {
        assert.ok(commands.includes(parseCommandLine(commands, argv).command));
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
  );
});
