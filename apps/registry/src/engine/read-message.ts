import type { Bus } from '#bus/connection';
import type { Delivered } from '#bus/delivered';
import { readRecord, RecordRefused } from '#bus/read-record';
import type { RegistryRecord } from '#contracts/bus/registry-record';

const decoder = new TextDecoder();

/** JSON of our own. A message that nobody can read would come back for ever; it is logged once and forgotten. */
export function readMessage<T>({ logger }: Pick<Bus, 'logger'>, { data, seq, subject }: Delivered): T | undefined {
  try {
    return JSON.parse(decoder.decode(data)) as T;
  } catch (err) {
    logger.error({ err, seq, subject }, 'a message that is no JSON is left out');
    return undefined;
  }
}

/** A record of REGISTRY. One that the registry did not write, or that nobody can read, is logged once and forgotten. */
export function readRecordMessage(
  { logger, topology }: Pick<Bus, 'logger' | 'topology'>,
  message: Delivered,
): RegistryRecord | undefined {
  try {
    return readRecord(topology, message);
  } catch (err) {
    if (!(err instanceof RecordRefused)) throw err;
    logger.error({ err, seq: message.seq, subject: message.subject }, 'a record is refused; it is left out');
    return undefined;
  }
}
