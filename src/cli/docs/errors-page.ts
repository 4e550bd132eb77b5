import { refusals } from '../../errors.ts';
import { code, madeFrom, page, tableOf } from './markdown.ts';

/** docs/errors.md */
export function errorsPage(): string {
  return page(
    '# Errors',
    madeFrom('src/errors.ts'),
    'Every refusal of Teal. The code stands in the log, beside what the sender is not told. In the reply, words in ' +
      'curly brackets are filled in. Retry says whether the same message may get through another time: servers ' +
      'that send mail try again by themselves after `later`, and report a failure to their user after `never`.',
    tableOf(
      ['Code', 'SMTP reply', 'Retry', 'Meaning'],
      Object.entries(refusals).map(([name, kind]) => [code(name), code(kind.smtp), kind.retry, kind.meaning]),
    ),
  );
}
