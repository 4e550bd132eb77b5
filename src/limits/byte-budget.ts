/** Bounds the bytes of messages that are in memory at once over all connections. */
export interface ByteBudget {
  /**
   * Sets `bytes` aside. The returned function gives them back; calling it twice is harmless. Undefined: so much is not
   * left now.
   */
  reserve(bytes: number): (() => void) | undefined;
}

/** `limit` in bytes. Nobody waits for bytes: who gets none says so to its peer (452) and is asked again later. */
export function createByteBudget(limit: number): ByteBudget {
  let left = limit;

  return {
    reserve(bytes) {
      if (bytes > left) return undefined;
      left -= bytes;
      let held = bytes;
      return () => {
        left += held;
        held = 0;
      };
    },
  };
}
