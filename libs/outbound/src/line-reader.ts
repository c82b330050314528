const MAX_LINE_BYTES = 64 * 1024;
const MAX_BYTES_PER_SECOND = 256 * 1024;

/**
 * Splits what comes in into lines (CR LF), with a bound on their length and on how much may come in a second.
 *
 * @returns takes a chunk; `too_much` when a bound is passed: nothing should be read any more
 */
export function makeLineReader(
  onLine: (line: string) => void,
  now: () => number = () => performance.now(),
): (chunk: Uint8Array) => 'ok' | 'too_much' {
  let rest = Buffer.alloc(0);
  let [received, sinceMs] = [0, now()];
  return (chunk) => {
    if (now() - sinceMs > 1000) [received, sinceMs] = [0, now()];
    received += chunk.length;
    if (received > MAX_BYTES_PER_SECOND) return 'too_much';
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf('\r\n'); end !== -1; end = rest.indexOf('\r\n')) {
      const line = rest.toString('utf8', 0, end);
      rest = rest.subarray(end + 2);
      onLine(line);
    }
    return rest.length > MAX_LINE_BYTES ? 'too_much' : 'ok';
  };
}
