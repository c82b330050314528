/** Notifications per minute that a sink agrees to; `*`: no limit (http-webhook 4.2.2). */
export type AllowedRate = number | '*';

/** Beyond this a limit limits nothing, and the number stays exact everywhere. */
const RATE_MAX = 1_000_000_000;

/** @returns undefined when it is neither `*` nor a whole number above 0 */
export function parseAllowedRate(text: string): AllowedRate | undefined {
  const value = text.trim();
  if (value === '*') return '*';
  if (!/^\d{1,10}$/.test(value)) return undefined;
  const rate = Number(value);
  return rate > 0 ? Math.min(rate, RATE_MAX) : undefined;
}
