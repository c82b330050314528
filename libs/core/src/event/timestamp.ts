const SHAPE = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_BEFORE_1970 = 719_162;
const MINUTES_PER_DAY = 24 * 60;

/**
 * The instant of an RFC 3339 timestamp in Unix milliseconds, digits below the millisecond dropped; undefined when it is
 * not one (CE-9). Seconds and an offset are required, the separator is `T`; second 60 only where a leap second can be,
 * at 23:59 UTC. It counts as the second after.
 */
export function timestampToUnixMs(text: string): number | undefined {
  if (!SHAPE.test(text)) return undefined;
  const days = daysSince1970(number(text, 0, 4), number(text, 5, 7), number(text, 8, 10));
  const hour = number(text, 11, 13);
  const minute = number(text, 14, 16);
  const second = number(text, 17, 19);
  const offsetMinutes = offsetMinutesOf(text);
  if (days === undefined || offsetMinutes === undefined || hour > 23 || minute > 59 || second > 60) return undefined;
  const utcMinutes = days * MINUTES_PER_DAY + hour * 60 + minute - offsetMinutes;
  if (second === 60 && !isLastMinuteOfDay(utcMinutes)) return undefined;
  return (utcMinutes * 60 + second) * 1000 + fractionMs(text);
}

function number(text: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 10 + text.charCodeAt(i) - 48;
  return value;
}

function daysSince1970(year: number, month: number, day: number): number | undefined {
  const before = DAYS_BEFORE_MONTH[month - 1];
  if (before === undefined || day < 1 || day > daysInMonth(year, month)) return undefined;
  const past = year - 1;
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400);
  return past * 365 + leapDays + before + (month > 2 && isLeapYear(year) ? 1 : 0) + day - 1 - DAYS_BEFORE_1970;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function offsetMinutesOf(text: string): number | undefined {
  const end = text.length;
  if (text.endsWith('Z') || text.endsWith('z')) return 0;
  const hours = number(text, end - 5, end - 3);
  const minutes = number(text, end - 2, end);
  if (hours > 23 || minutes > 59) return undefined;
  return (text.charAt(end - 6) === '-' ? -1 : 1) * (hours * 60 + minutes);
}

function isLastMinuteOfDay(utcMinutes: number): boolean {
  return ((utcMinutes % MINUTES_PER_DAY) + MINUTES_PER_DAY) % MINUTES_PER_DAY === MINUTES_PER_DAY - 1;
}

function fractionMs(text: string): number {
  if (text.charAt(19) !== '.') return 0;
  let ms = 0;
  for (let i = 20, weight = 100; weight >= 1 && isDigit(text.charCodeAt(i)); i++, weight /= 10) {
    ms += (text.charCodeAt(i) - 48) * weight;
  }
  return ms;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
