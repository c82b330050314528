/** Longest wait that a Retry-After can express here: a hundred years. Larger numbers are still "never" to us. */
const LONGEST_WAIT_MS = 100 * 365 * 86_400_000;

/**
 * How long a sink asks us to wait, in milliseconds from `nowMs` (WH-5, RFC 9110 10.2.3).
 *
 * Accepts seconds (decimals are rounded up to whole seconds: never earlier than asked) and the three forms of an HTTP
 * date. A date in the past is 0. Anything else is `undefined`: ignored, the schedule applies.
 */
export function parseRetryAfter(value: string, nowMs: number): number | undefined {
  const text = value.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text)) * 1000, LONGEST_WAIT_MS);
  const atMs = parseHttpDate(text, nowMs);
  return atMs === undefined ? undefined : Math.min(Math.max(0, atMs - nowMs), LONGEST_WAIT_MS);
}

const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';

/** `Wed, 21 Oct 2015 07:28:00 GMT`, the form that senders use. */
const IMF_FIXDATE = new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`);
/** `Wednesday, 21-Oct-15 07:28:00 GMT`, which recipients must accept. */
const RFC_850 = new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`);
/** `Wed Oct 21 07:28:00 2015`, C's asctime, which recipients must accept. */
const ASCTIME = new RegExp(`^${DAY} ${MONTH} (?<day>\\d\\d| \\d) ${TIME} (?<year>\\d{4})$`);

/** An HTTP date (RFC 9110 5.6.7) as Unix milliseconds. The name of the weekday is read over, not checked. */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  const groups = (IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text))?.groups;
  if (groups === undefined) return undefined;
  const field = (name: string) => Number(groups[name]);
  const month = MONTHS.indexOf(groups['month'] ?? '') + 1;
  const year = groups['year']?.length === 2 ? fullYear(field('year'), nowMs) : field('year');
  const [day, hour, minute, second] = [field('day'), field('hour'), field('minute'), field('second')];
  if (day < 1 || day > daysInMonth(year, month) || hour > 23 || minute > 59 || second > 60) return undefined;
  return daysSinceEpoch(year, month, day) * 86_400_000 + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** A two-digit year that seems to be more than 50 years in the future is in the past (RFC 9110 5.6.7). */
function fullYear(twoDigits: number, nowMs: number): number {
  const currentYear = 1970 + Math.floor(nowMs / (365.2425 * 86_400_000));
  const sameCentury = currentYear - (currentYear % 100) + twoDigits;
  if (sameCentury > currentYear + 50) return sameCentury - 100;
  return sameCentury < currentYear - 49 ? sameCentury + 100 : sameCentury;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that February is last. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const marchMonth = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + Math.floor((153 * marchMonth + 2) / 5) + day - 1 - 719_468;
}
