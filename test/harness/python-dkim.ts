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

/** `message` signed by python3-dkim. */
export function signWithPython(message: Buffer, options: PythonDkimOptions): Promise<Buffer> {
  const { key, names = null, length = false, canonicalization = 'relaxed/relaxed', ...rest } = options;
  const { d } =
    key.privateKey.asymmetricKeyType === 'ed25519' ? key.privateKey.export({ format: 'jwk' }) : {};
  const input = JSON.stringify({
    ...rest,
    algorithm: options.algorithm ?? (d === undefined ? 'rsa-sha256' : 'ed25519-sha256'),
    canonicalization,
    names,
    length,
    key: d === undefined ? key.pem : Buffer.from(d, 'base64url').toString('base64'),
    message: message.toString('base64'),
  });
  return new Promise((resolve, reject) => {
    const child = execFile(
      'python3',
      ['-c', script],
      { env: systemPython(), encoding: 'buffer' },
      (error, signed) => (error ? reject(new Error(error.message)) : resolve(signed)),
    );
    child.stdin?.end(input);
  });
}
