import type { Bus } from '#bus/connection';
import { consumeBatches, type Consuming } from '#bus/consume';
import type { Delivered } from '#bus/delivered';
import { readRecord } from '#bus/read-record';
import type { StreamKey } from '#bus/topology';
import type { Database } from '#store/database';
import { recordFaults, type WriteResult } from '#store/write-batch';
import { writeDeadLetters } from '#store/write-dead-letters';
import { writeEvents } from '#store/write-events';
import { writeFacts } from '#store/write-facts';
import { writeRegistry } from '#store/write-registry';
import type { Tried } from './keep-trying.ts';
import { makeProjectBatch, type ProjectedBatch } from './project-batch.ts';
import { readDeadLetter, readEvent, readFact } from './read-messages.ts';

export interface ProjectionParts {
  readonly bus: Bus;
  readonly db: Database;
  readonly maxMessages: number;
  readonly maxWaitMs: number;
  readonly keepTrying: <T>(work: () => Promise<T>) => Promise<Tried<T>>;
  readonly observe: (stream: StreamKey, batch: ProjectedBatch) => void;
}

/** Streams that are projected. Each has a durable consumer of its own, so one that is stuck does not stop the others. */
export const PROJECTED_STREAMS = ['REGISTRY', 'EVENTS', 'JOURNAL', 'DEADLETTERS'] as const satisfies StreamKey[];

/**
 * Messages of EVENTS are whole events. Of up to 1 MiB, one batch that is being written and one that waits are 2 × 250 ×
 * 1 MiB = 500 MiB at most; 2 × 2000 would be 4 GiB. Facts have a few hundred bytes.
 */
const EVENTS_BATCH_MAX = 250;

/** Messages of a stream in one transaction. */
export function batchSize(stream: StreamKey, maxMessages: number): number {
  return stream === 'EVENTS' ? Math.min(maxMessages, EVENTS_BATCH_MAX) : maxMessages;
}

/** Starts consuming every projected stream into its tables. */
export function startProjections(parts: ProjectionParts): readonly Consuming[] {
  const { db, bus } = parts;
  const tenantOf = (subject: string): string | undefined => bus.topology.tenantOfEventSubject(subject);
  return [
    project(
      parts,
      'REGISTRY',
      (message) => ({ seq: message.seq, record: readRecord(bus.topology, message) }),
      (items) => writeRegistry(db, items),
    ),
    project(
      parts,
      'EVENTS',
      (message) => readEvent(message, tenantOf),
      (items) => writeEvents(db, items),
    ),
    project(parts, 'JOURNAL', readFact, (items) => writeFacts(db, items)),
    project(parts, 'DEADLETTERS', readDeadLetter, (items) => writeDeadLetters(db, items)),
  ];
}

function project<Item>(
  { bus, db, maxMessages, maxWaitMs, keepTrying, observe }: ProjectionParts,
  stream: (typeof PROJECTED_STREAMS)[number],
  read: (message: Delivered) => Item | undefined,
  write: (items: readonly Item[]) => Promise<WriteResult>,
): Consuming {
  const { streams, consumers } = bus.topology;
  return consumeBatches(
    bus,
    { stream: streams[stream], consumer: consumers.projector, maxMessages: batchSize(stream, maxMessages), maxWaitMs },
    makeProjectBatch({
      read,
      write,
      recordFaults: (faults) => recordFaults(db, stream, faults),
      keepTrying,
      observe: (batch) => {
        observe(stream, batch);
      },
    }),
  );
}
