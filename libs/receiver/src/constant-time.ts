import { timingSafeEqual } from 'node:crypto';

/** Whether two byte sequences are the same; how long it takes tells nothing but whether their lengths are. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
