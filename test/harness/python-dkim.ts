import { execFile } from 'node:child_process';
import { systemPython } from './peers.ts';
import type { DkimKey } from './signed-mail.ts';

export interface PythonDkimOptions {
  readonly domain: string;
  readonly selector: string;
  readonly key: DkimKey;
  readonly algorithm?: 'rsa-sha256' | 'rsa-sha1' | 'ed25519-sha256';
  /** As in c=. */
  readonly canonicalization?: string;
  /** h=; dkimpy's choice where it is missing. */
  readonly names?: readonly string[];
  /** Puts l= in. */
  readonly length?: boolean;
}

const script = `
import base64, dkim, json, sys
o = json.load(sys.stdin)
b = lambda text: text.encode()
message = base64.b64decode(o['message'])
field = dkim.sign(message, b(o['selector']), b(o['domain']), b(o['key']), signature_algorithm=b(o['algorithm']),
    canonicalize=tuple(b(o['canonicalization']).split(b'/')), length=o['length'],
    include_headers=[b(name) for name in o['names']] if o['names'] else None)
sys.stdout.buffer.write(field + message)
`;

const verifyScript = `
import base64, dkim, json, sys
o = json.load(sys.stdin)
def verdict(message, index):
    try:
        d = dkim.DKIM(message, minkey=1024)
        # RFC 6376 lets any position be asked for; the record is handed over, no DNS is asked.
        return bool(d.verify(idx=index, dnsfunc=lambda name, timeout=5: o['records'].get(name.decode().rstrip('.'), '').encode()))
    except dkim.DKIMException as error:
        return str(error)
print(json.dumps([[verdict(base64.b64decode(m), i) for i in range(o['signatures'])] for m in o['messages']]))
`;

/** For each message, what python3-dkim says of each of its first `signatures`; `records` are TXT records by name. */
export async function verifyWithPython(
  messages: readonly Buffer[],
  records: Readonly<Record<string, string>>,
  signatures: number,
): Promise<(boolean | string)[][]> {
  const input = { messages: messages.map((message) => message.toString('base64')), records, signatures };
  return JSON.parse((await runPython(verifyScript, input)).toString()) as (boolean | string)[][];
}

/** `message` signed by python3-dkim. */
export function signWithPython(message: Buffer, options: PythonDkimOptions): Promise<Buffer> {
  const { key, names = null, length = false, canonicalization = 'relaxed/relaxed', ...rest } = options;
  const { d } =
    key.privateKey.asymmetricKeyType === 'ed25519' ? key.privateKey.export({ format: 'jwk' }) : {};
  return runPython(script, {
    ...rest,
    algorithm: options.algorithm ?? (d === undefined ? 'rsa-sha256' : 'ed25519-sha256'),
    canonicalization,
    names,
    length,
    key: d === undefined ? key.pem : Buffer.from(d, 'base64url').toString('base64'),
    message: message.toString('base64'),
  });
}

/** What a script prints that reads `input` as JSON. */
function runPython(code: string, input: unknown): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'python3',
      ['-c', code],
      { env: systemPython(), encoding: 'buffer' },
      (error, printed) => (error ? reject(new Error(error.message)) : resolve(printed)),
    );
    child.stdin?.end(JSON.stringify(input));
  });
}
