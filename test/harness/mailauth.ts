import { Readable } from 'node:stream';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';

/** What mailauth says of each signature of a message, where DNS has these TXT records and no others. */
export async function verifyWithMailauth(
  message: Buffer,
  records: Readonly<Record<string, string>>,
): Promise<string[]> {
  const { results } = await dkimVerify(Readable.from([message]), {
    sender: '<>',
    resolver: async (name: string) => {
      const record = records[name];
      if (record === undefined) throw Object.assign(new Error('no key'), { code: 'ENOTFOUND' });
      return [[record]];
    },
  });
  return results.map(({ status }) => String(status?.result));
}
