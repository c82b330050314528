import type { Delivered } from '#bus/delivered';
import type { Fault, WriteResult } from '#store/write-batch';
import type { Tried } from './keep-trying.ts';

/** What became of a batch. */
export interface ProjectedBatch {
  readonly messages: number;
  readonly written: number;
  readonly faults: readonly Fault[];
  /** When the last of its messages was stored, Unix ms. */
  readonly lastStoredAtMs: number;
}

export interface ProjectPorts<Item> {
  /** Reads a message. `undefined`: nothing to store. Throws when it can not be read, which no repetition changes. */
  readonly read: (message: Delivered) => Item | undefined;
  /** Stores items; throws when the database can not take anything now. */
  readonly write: (items: readonly Item[]) => Promise<WriteResult>;
  readonly recordFaults: (faults: readonly Fault[]) => Promise<void>;
  /** Repeats until it works, or until the service stops. */
  readonly keepTrying: <T>(work: () => Promise<T>) => Promise<Tried<T>>;
  readonly observe: (batch: ProjectedBatch) => void;
}

/**
 * One pulled batch: read, write, and only then acknowledge. A crash before the acknowledgement writes the same rows again,
 * which changes nothing. While the database is away the batch is held (its ack wait is renewed) and nothing else is pulled.
 */
export function makeProjectBatch<Item>(ports: ProjectPorts<Item>) {
  return async function projectBatch(messages: readonly Delivered[]): Promise<void> {
    const { items, faults } = readAll(messages);
    const tried = await ports.keepTrying(async () => {
      if (faults.length > 0) await ports.recordFaults(faults);
      return ports.write(items);
    });
    if (!tried.done) {
      for (const message of messages) message.nak();
      return;
    }
    for (const message of messages) message.ack();
    const { written, faults: refused } = tried.value;
    ports.observe({
      messages: messages.length,
      written,
      faults: [...faults, ...refused],
      lastStoredAtMs: messages.at(-1)?.timestampMs ?? 0,
    });
  };

  function readAll(messages: readonly Delivered[]): { items: Item[]; faults: Fault[] } {
    const items: Item[] = [];
    const faults: Fault[] = [];
    for (const message of messages) {
      try {
        const item = ports.read(message);
        if (item !== undefined) items.push(item);
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error);
        faults.push({ seq: message.seq, code: 'projector.unreadable', detail });
      }
    }
    return { items, faults };
  }
}
