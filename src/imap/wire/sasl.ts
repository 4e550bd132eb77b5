/** RFC 4648 base64 of one AUTHENTICATE line or initial response; undefined where it is none. `*` (cancel) is none too. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

/** RFC 4616 `message = [authzid] UTF8NUL authcid UTF8NUL passwd`; undefined where it is none or not UTF-8. */
export function parsePlain(
  bytes: Buffer,
): { readonly authorize: string; readonly username: string; readonly password: string } | undefined {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
  const [authorize, username, password, ...more] = text.split('\0');
  if (authorize === undefined || !username || !password || more.length > 0) return undefined;
  return { authorize, username, password };
}
