/** How a try at the notifier ended. `failed` carries a reason for our log, without the token. */
export type PostResult =
  | { readonly kind: 'sent' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly reason: string };

/** Bytes of an answer's body that are read, and thrown away, so that its connection can be used again. */
const MAX_ANSWER = 4096;

/**
 * POSTs one token: the body is the token, nothing else is sent (relay.md 5). 200 is sent, 410 says that the device is
 * gone, anything else, a redirect as well, is a failed try. Never rejects; `signal` ends it early, as a failed try.
 */
export async function postToken(
  fetch: typeof globalThis.fetch,
  url: string,
  token: string,
  signal: AbortSignal,
): Promise<PostResult> {
  let response: Response;
  try {
    // Bytes, not text: fetch would add a Content-Type of its own.
    response = await fetch(url, { method: 'POST', body: Buffer.from(token), redirect: 'manual', signal });
  } catch (error) {
    return { kind: 'failed', reason: signal.aborted ? String(signal.reason) : reasonOf(error) };
  }
  await discard(response);
  if (response.status === 200) return { kind: 'sent' };
  if (response.status === 410) return { kind: 'gone' };
  return { kind: 'failed', reason: `status ${response.status}` };
}

/** The answer is in its status; a body that is long, breaks off or does not end changes nothing. */
async function discard(response: Response): Promise<void> {
  const body: ReadableStream<Uint8Array> | null = response.body;
  const reader = body?.getReader();
  if (reader === undefined) return;
  try {
    let size = 0;
    while (size <= MAX_ANSWER) {
      const part = await reader.read();
      if (part.done) return;
      size += part.value.length;
    }
    await reader.cancel();
  } catch {
    // The connection is gone, and the answer was had before.
  }
}

/** fetch hides what happened in `cause`; its code is enough (ECONNREFUSED, UND_ERR_SOCKET, CERT_HAS_EXPIRED). */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : error.name;
}
