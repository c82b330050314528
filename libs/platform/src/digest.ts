import { createHash, hash, randomBytes as nodeRandomBytes, timingSafeEqual } from 'node:crypto';
import { base32 } from '#core/ids';

export function sha256(input: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(input).digest();
}

export function sha256Hex(input: string | Uint8Array): string {
  return hash('sha256', input, 'hex');
}

/** 26 characters for 128 bits of SHA-256: short enough for a deduplication id, which the server keeps in memory. */
export function shortHash(input: string): string {
  return base32(sha256(input).subarray(0, 16));
}

export function randomBytes(count: number): Uint8Array {
  return nodeRandomBytes(count);
}

/** Equality in constant time; the comparison is over digests, so lengths do not leak either. */
export function constantTimeEqual(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}
