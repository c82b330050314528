import { clientNetworkOf } from './client-network.ts';

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
 * bits and are found by their hash, so what this protects is the operator's token, which people choose. Who has many
 * addresses of IPv6 has them in one network, and is counted as one.
 *
 * @param guessesPerMinute wrong credentials that one address may send within a window before it has to wait
 */
export function makeTokenGuesses(now: () => number, guessesPerMinute: number): TokenGuesses {
  const windows = new Map<string, { readonly endsAtMs: number; count: number }>();

  /** One that ends too late is from before the clock was set back. */
  function isOpen({ endsAtMs }: { readonly endsAtMs: number }): boolean {
    const leftMs = endsAtMs - now();
    return leftMs > 0 && leftMs <= WINDOW_MS;
  }

  return {
    waitMs(address) {
      const window = windows.get(clientNetworkOf(address));
      if (window === undefined || window.count < guessesPerMinute || !isOpen(window)) return 0;
      return window.endsAtMs - now();
    },
    failed(address) {
      const network = clientNetworkOf(address);
      const window = windows.get(network);
      if (window !== undefined && isOpen(window)) {
        window.count++;
        return;
      }
      windows.delete(network); // so that the map stays in the order of the windows
      windows.set(network, { endsAtMs: now() + WINDOW_MS, count: 1 });
      if (windows.size > ADDRESSES_MAX) forgetOldest(windows);
    },
  };
}

function forgetOldest(windows: Map<string, unknown>): void {
  const [oldest] = windows.keys();
  if (oldest !== undefined) windows.delete(oldest);
}
