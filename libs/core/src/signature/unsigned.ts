import type { HeaderPair } from './http-message.ts';

/** What a profile makes of a notification: the bytes to be signed, and what becomes of the signatures. */
export interface Unsigned {
  /** The signature base in pieces, to be fed to the algorithm one after the other: a body is never copied. */
  readonly pieces: readonly (string | Uint8Array)[];
  /** How {@link headersWith} wants the signatures. */
  readonly encoding: 'base64' | 'hex';
  /**
   * The headers to be sent, beside those that are covered.
   *
   * @param signatures one per key; more than one only where the profile has room for it (SW-4)
   */
  headersWith(signatures: readonly string[]): HeaderPair[];
}
