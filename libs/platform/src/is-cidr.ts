import { isIP } from 'node:net';

/** `10.1.0.0/16`, `fd00::/8`, or a single address; without a zone. */
export function isCidr(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || more.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
}
