import { UnstorableRow } from './store-errors.ts';

/** Past it, an instant is a broken message and not an event: 2100-01-01. */
const LATEST_MS = 4_102_444_800_000;
const DAY_MS = 86_400_000;

/** Postgres refuses U+0000 in a text, and a lone surrogate is no UTF-8: the first is shown as U+2400, the second as U+FFFD. */
export function storableText(text: string): string {
  const withoutNul = text.includes('\0') ? text.replaceAll('\0', '\u2400') : text;
  return withoutNul.isWellFormed() ? withoutNul : withoutNul.toWellFormed();
}

/**
 * A value for a json column, as text within the JSON of a batch: so its own text arrives as it is. As a member, Postgres would
 * read its strings, and refuse U+0000 in them.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(value);
}

export function storableTextOrNull(text: string | undefined): string | null {
  return text === undefined ? null : storableText(text);
}

/**
 * @throws UnstorableRow when it is not an instant between 1970 and 2100
 */
export function storableInstant(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0 || ms >= LATEST_MS) throw new UnstorableRow(`${String(ms)} is not an instant`);
  return new Date(ms).toISOString();
}

/** Days since 1970-01-01 UTC. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/**
 * The day of a row that is to be stored.
 *
 * @throws UnstorableRow when it is not an instant between 1970 and 2100
 */
export function storableDay(ms: number): number {
  storableInstant(ms);
  return dayOf(ms);
}

/** Midnight UTC at which a day begins, Unix ms. */
export function startOfDayMs(day: number): number {
  return day * DAY_MS;
}
