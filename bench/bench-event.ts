/** Structured events of this size, attributes and data together. */
const EVENT_BYTES = 1024;
export const BENCH_TYPE = 'com.example.bench.happened';
/** Stands before the number and the instant of publishing in every body: `"benchmark":"17:123456789"`. */
export const MARKER = Buffer.from('"benchmark":"');

/** A clock that all processes of one machine share, microseconds. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** @param dueUs the instant at which it is published, or should be: waiting for a slow service counts as its latency */
export function benchEvent(type: string, run: string, n: number, dueUs: number): string {
  const head = `{"specversion":"1.0","id":"${run}-${n}","source":"/bench","type":"${type}","benchmark":"${n}:${dueUs}","datacontenttype":"application/json","data":{"text":"`;
  return `${head}${'x'.repeat(EVENT_BYTES - head.length - 3)}"}}`;
}

/** Number and instant of the event in a request; undefined when it is not one of ours. */
export function readMarker(request: Buffer, from: number): { readonly n: number; readonly dueUs: number } | undefined {
  const at = request.indexOf(MARKER, from);
  if (at < 0) return undefined;
  const start = at + MARKER.length;
  const [n, dueUs] = request.toString('latin1', start, request.indexOf(0x22, start)).split(':');
  return { n: Number(n), dueUs: Number(dueUs) };
}
