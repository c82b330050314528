export const WINDOW_MS = 60_000;
/** Addresses remembered at once: about 10 MB. With more, those that failed longest ago are forgotten. */
const ADDRESSES_MAX = 65_536;

export interface TokenGuesses {
  /** How long an address has to wait before its next guess is looked at, ms; 0 when it need not. */
  waitMs(address: string): number;
  /** The address sent a credential that is not known. */
  failed(address: string): void;
}

/**
 * Counts wrong credentials by address, in this process: a fixed window from the first of them. API keys have 256 random
 * bits and are found by their hash, so what this protects is the operator's token, which people choose.
 *
 * @param guessesPerMinute wrong credentials that one address may send within a window before it has to wait
 */
export function makeTokenGuesses(now: () => number, guessesPerMinute: number): TokenGuesses {
  const windows = new Map<string, { readonly endsAtMs: number; count: number }>();

  return {
    waitMs(address) {
      const window = windows.get(address);
      if (window === undefined || window.count < guessesPerMinute) return 0;
      return Math.max(0, window.endsAtMs - now());
    },
    failed(address) {
      const window = windows.get(address);
      if (window !== undefined && window.endsAtMs > now()) {
        window.count++;
        return;
      }
      windows.delete(address); // so that the map stays in the order of the windows
      windows.set(address, { endsAtMs: now() + WINDOW_MS, count: 1 });
      if (windows.size > ADDRESSES_MAX) forgetOldest(windows);
    },
  };
}

function forgetOldest(windows: Map<string, unknown>): void {
  const [oldest] = windows.keys();
  if (oldest !== undefined) windows.delete(oldest);
}
