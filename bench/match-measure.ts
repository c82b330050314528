import type { CloudEvent } from '#core/event/cloud-event';
import { makeMatchIndex, type MatchIndex } from '#core/match/match-index';
import { anOpaqueSubscription, BENCH_TENANT, eventFor, makePopulation, type Population } from './match-population.ts';

export interface MatchingFigures {
  readonly size: number;
  /** Time of one event by what it matches. `background`: an event of the population at large. */
  readonly eventMicroseconds: Readonly<Record<'none' | 'one' | 'ten' | 'thousand' | 'background', number>>;
  readonly backgroundMatchCount: number;
  /** What each subscription adds to every event whose filter gives the index nothing to look up. */
  readonly opaqueSqlNanoseconds: number;
  readonly putMicroseconds: { readonly median: number; readonly p999: number };
  readonly buildMs: number;
  /** Heap of the index, without the subscriptions themselves. */
  readonly indexBytesEach: number;
  /** Resident memory with the subscriptions and the index. */
  readonly rssBytes: number;
}

const OPAQUE_COUNT = 1000;

/** Builds an index of `size` subscriptions and measures it. Needs `--expose-gc`. */
export function measureMatching(size: number): MatchingFigures {
  const population = makePopulation(size);
  const heapBefore = heapBytes();
  const index = makeMatchIndex();
  const startMs = performance.now();
  for (const subscription of population.subscriptions) index.put(subscription);
  const buildMs = performance.now() - startMs;
  const indexBytesEach = (heapBytes() - heapBefore) / size;
  const rssBytes = process.memoryUsage.rss();
  const events = eventsOf(population);
  const eventMicroseconds = {
    none: timeEvents(index, events.none, 0),
    one: timeEvents(index, events.one, 1),
    ten: timeEvents(index, events.ten, 10),
    thousand: timeEvents(index, events.thousand, 1000),
    background: timeEvents(index, events.background),
  };
  const matches = events.background.map((event) => index.match(BENCH_TENANT, event).length);
  return {
    size,
    eventMicroseconds,
    backgroundMatchCount: matches.reduce((sum, count) => sum + count, 0) / matches.length,
    putMicroseconds: timePuts(index, population),
    opaqueSqlNanoseconds: timeOpaqueSql(index, events.none),
    buildMs,
    indexBytesEach,
    rssBytes,
  };
}

type Events = Record<'none' | 'one' | 'ten' | 'thousand' | 'background', readonly CloudEvent[]>;

function eventsOf({ types }: Population): Events {
  const hits = (type: string) => Array.from({ length: 100 }, (_, i) => eventFor(type, i, '/nobody'));
  return {
    none: hits('com.nobody.asked'),
    one: hits('com.hit.one'),
    ten: hits('com.hit.ten'),
    thousand: hits('com.hit.thousand'),
    background: Array.from({ length: 1000 }, (_, i) => eventFor(types[(i * 7919) % types.length] ?? '', i)),
  };
}

/** Median of batches, so that a collection in between does not count. */
function timeEvents(index: MatchIndex, events: readonly CloudEvent[], expected?: number): number {
  const batch = () => {
    for (const event of events) {
      const { length } = index.match(BENCH_TENANT, event);
      if (expected !== undefined && length !== expected) throw new Error(`${length} matches in place of ${expected}`);
    }
  };
  const warmUntilMs = performance.now() + 500;
  while (performance.now() < warmUntilMs) batch();
  const times = Array.from({ length: 101 }, () => {
    const startMs = performance.now();
    batch();
    return ((performance.now() - startMs) * 1000) / events.length;
  });
  return quantile(times, 0.5);
}

function timePuts(index: MatchIndex, { subscriptions }: Population): MatchingFigures['putMicroseconds'] {
  const times = Array.from({ length: 20_000 }, (_, i) => {
    const subscription = subscriptions[(i * 104_729) % subscriptions.length];
    const startMs = performance.now();
    if (subscription !== undefined) index.put(subscription);
    return (performance.now() - startMs) * 1000;
  });
  return { median: quantile(times, 0.5), p999: quantile(times, 0.999) };
}

function timeOpaqueSql(index: MatchIndex, events: readonly CloudEvent[]): number {
  const before = timeEvents(index, events, 0);
  for (let i = 0; i < OPAQUE_COUNT; i++) index.put(anOpaqueSubscription(i));
  return ((timeEvents(index, events, 0) - before) / OPAQUE_COUNT) * 1000;
}

function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? NaN;
}

function heapBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
