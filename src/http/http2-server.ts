import { constants, createServer } from 'node:http2';
import type { Http2Server } from 'node:http2';

/**
 * Bytes of a request's header on 443: room for a thousand `X-MAIL-TO` of 80 characters
 * (relay.md 3), whose fields HTTP/2 counts with 32 bytes more (RFC 9113 10.5.1); everybody else
 * needs 1 KB.
 */
export const MAX_WEB_HEADER = 128 * 1024;
/** Fields of a header: a thousand recipients, and what goes with every request. */
const MAX_FIELDS = 1100;
/** Requests of one connection; then it may come back, and others get their turn. */
export const MAX_REQUESTS = 100;
/** Requests at once on one connection of HTTP/2; RFC 9113 5.1.2 would have 100, for browsers with many images. */
const MAX_STREAMS = 32;
/** Bytes that a client may send before we have read what went before: of one request, and of a whole connection. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;
/** What node keeps for a connection at most, in megabytes: windows, headers, answers that wait to be read. */
const MAX_SESSION_MEMORY = 4;
/** Requests that a client takes back: so many at once, and so many a second ("rapid reset", CVE-2023-44487). */
const RESET_BURST = 64;
const RESET_RATE = 16;

/** HTTP/2 (RFC 9113) for connections whose TLS is done, without a handler: listens nowhere. */
export function createHttp2Server(): Http2Server {
  const server = createServer({
    settings: {
      enablePush: false,
      maxConcurrentStreams: MAX_STREAMS,
      initialWindowSize: STREAM_WINDOW,
      maxHeaderListSize: MAX_WEB_HEADER,
    },
    maxHeaderListPairs: MAX_FIELDS,
    maxSessionMemory: MAX_SESSION_MEMORY,
    // Frames that tell nothing: PING, SETTINGS and the like that wait for our answer.
    maxOutstandingPings: 10,
    maxSettings: 32,
    maxSessionInvalidFrames: 10,
    maxSessionRejectedStreams: 10,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESET_RATE,
  });
  server.on('session', (session) => {
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW));
    let requests = 0;
    session.on('stream', () => {
      requests += 1;
      // Says GOAWAY; what is under way is finished.
      if (requests === MAX_REQUESTS) session.close();
      // Who goes on asking all the same does not listen.
      if (requests > MAX_REQUESTS + MAX_STREAMS)
        session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
  });
  return server;
}
