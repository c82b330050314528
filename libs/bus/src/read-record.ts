import type { MsgHdrs } from '@nats-io/nats-core';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { isPublished } from './origin.ts';
import type { Topology } from './topology.ts';

/** A message of REGISTRY that the registry did not write, or that nobody can read. No repetition changes that: it is left out. */
export class RecordRefused extends Error {
  readonly code = 'bus.record-refused';
}

const decoder = new TextDecoder();

/**
 * The one way to read a message of REGISTRY that a consumer brings: it decides who may do what, so it has to be what the registry
 * published on that very subject.
 *
 * @throws RecordRefused
 */
export function readRecord(
  topology: Pick<Topology, 'registrySubject'>,
  message: { readonly subject: string; readonly headers: MsgHdrs | undefined; readonly data: Uint8Array },
): RegistryRecord {
  if (!isPublished(message.headers)) throw new RecordRefused('an answer of the server was stored as a record');
  return readRecordOf(topology, message);
}

/**
 * The payloads of one subject that are records, for who reads a history: what {@link readRecord} refuses is in none.
 *
 * @param payloads from `readSubject`, which gives only what was published
 */
export function onlyRecords(
  topology: Pick<Topology, 'registrySubject'>,
  subject: string,
  payloads: readonly Uint8Array[],
): readonly Uint8Array[] {
  return payloads.filter((data) => {
    try {
      readRecordOf(topology, { subject, data });
      return true;
    } catch (error) {
      if (error instanceof RecordRefused) return false;
      throw error;
    }
  });
}

function readRecordOf(
  topology: Pick<Topology, 'registrySubject'>,
  { subject, data }: { readonly subject: string; readonly data: Uint8Array },
): RegistryRecord {
  const record = parseObject(data);
  const { aggregate, tenant, id, event } = record;
  if (subject !== topology.registrySubject(`${tenant}`, `${aggregate}`, `${id}`)) {
    throw new RecordRefused('it stands under a subject that is not its own');
  }
  if (typeof event?.kind !== 'string') throw new RecordRefused('it has no event');
  return record as RegistryRecord;
}

function parseObject(data: Uint8Array): Partial<RegistryRecord> {
  try {
    const value: unknown = JSON.parse(decoder.decode(data));
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw new RecordRefused('it is no JSON', { cause });
  }
  throw new RecordRefused('it is no JSON object');
}
