/**
 * True when the JSON text of a value, without white space and escapes, has more UTF-16 units than `maxLength`. Stops as
 * soon as it knows, and does not recurse: `JSON.stringify` overflows the stack where `JSON.parse` does not.
 */
export function isLongerThan(value: unknown, maxLength: number): boolean {
  const waiting: unknown[] = [value];
  let length = 0;
  while (waiting.length > 0 && length <= maxLength) {
    const next = waiting.pop();
    if (Array.isArray(next)) {
      length += next.length + 1;
      for (const element of next) waiting.push(element);
    } else if (typeof next === 'object' && next !== null) {
      const members = Object.entries(next);
      length += members.length + 1;
      for (const [name, member] of members) {
        length += name.length + 3;
        waiting.push(member);
      }
    } else length += typeof next === 'string' ? next.length + 2 : String(next).length;
  }
  return length > maxLength;
}
