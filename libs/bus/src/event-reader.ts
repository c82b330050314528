import type { StoredMsg } from '@nats-io/jetstream';
import { InvalidArgumentError, MsgHdrsImpl, type MsgHdrs } from '@nats-io/nats-core';
import { BusUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import type { Topology } from './topology.ts';

export interface StoredEvent {
  /** That it was published on. */
  readonly subject: string;
  /** Those it was published with, and a few `Nats-*` of the reader; none when they can not be read. */
  readonly headers: MsgHdrs;
  readonly payload: Uint8Array;
  /** When the stream stored it, Unix ms. */
  readonly timestampMs: number;
}

/** What an entry costs beside its payload, roughly: headers, subject, maps. */
const ENTRY_OVERHEAD_BYTES = 1024;

export interface EventReaderOptions {
  /** Memory for recently read events. Default 64 MiB. */
  readonly cacheBytes?: number;
}

/**
 * Reads one event of EVENTS by its sequence; undefined when the stream does not have it (any more).
 *
 * Any replica answers (21k/s against 15k/s of the leader alone), the last ones read stay in memory by size, and readers
 * of the same event at once share one read. Only the leader may say that an event is gone: a replica can be behind.
 *
 * @throws BusUnavailable when the broker does not answer
 */
export function makeEventReader(
  bus: Pick<Bus, 'jsm' | 'topology'>,
  { cacheBytes = 64 * 1024 * 1024 }: EventReaderOptions = {},
): (seq: number) => Promise<StoredEvent | undefined> {
  const { jsm, topology } = bus;
  const stream = topology.streams.EVENTS;
  const cache = new Map<number, StoredEvent>();
  const reading = new Map<number, Promise<StoredEvent | undefined>>();
  let usedBytes = 0;

  async function read(seq: number): Promise<StoredEvent | undefined> {
    try {
      const stored = (await readAny(jsm, stream, seq)) ?? (await jsm.streams.getMessage(stream, { seq }));
      return stored === null ? undefined : keep(seq, toStoredEvent(topology, stored));
    } catch (cause) {
      throw new BusUnavailable(`event ${seq} could not be read`, { cause });
    }
  }

  function keep(seq: number, event: StoredEvent): StoredEvent {
    cache.set(seq, event);
    usedBytes += sizeOf(event);
    for (const [oldest, other] of cache) {
      if (usedBytes <= cacheBytes) break;
      cache.delete(oldest);
      usedBytes -= sizeOf(other);
    }
    return event;
  }

  return async (seq) => {
    const cached = cache.get(seq);
    if (cached !== undefined) {
      cache.delete(seq);
      cache.set(seq, cached);
      return cached;
    }
    const started = reading.get(seq) ?? read(seq).finally(() => reading.delete(seq));
    reading.set(seq, started);
    return started;
  };
}

/** Null also when its headers can not be read: with them the client can not read the answer of a replica. */
function readAny({ direct }: Bus['jsm'], stream: string, seq: number): Promise<StoredMsg | null> {
  return direct.getMessage(stream, { seq }).catch((error: unknown) => {
    if (error instanceof InvalidArgumentError) return null;
    throw error;
  });
}

function headersOf(stored: StoredMsg): MsgHdrs {
  try {
    return stored.header;
  } catch {
    return new MsgHdrsImpl();
  }
}

function sizeOf(event: StoredEvent): number {
  return event.payload.length + ENTRY_OVERHEAD_BYTES;
}

function toStoredEvent({ publishedEventSubject }: Topology, stored: StoredMsg): StoredEvent {
  const { subject, data, time } = stored;
  const headers = headersOf(stored);
  return { subject: publishedEventSubject(subject), headers, payload: data, timestampMs: time.getTime() };
}
