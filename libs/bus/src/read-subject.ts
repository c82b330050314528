import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { readBatch } from './read-batch.ts';

const BATCH = 500;
const BEHIND_MS = 50;
const MAX_WAIT_MS = 5_000;

/**
 * The payload of every message of one subject, oldest first, up to `lastSeq` at least. Any replica answers; one that is behind is asked
 * again.
 *
 * @param lastSeq sequence of a message of the subject that is there for certain, 0 for none
 * @throws BusUnavailable when the broker does not answer, or has not got that far in 5 s
 */
export async function readSubject(
  { nc }: Pick<Bus, 'nc'>,
  { stream, subject, lastSeq }: { readonly stream: string; readonly subject: string; readonly lastSeq: number },
): Promise<readonly Uint8Array[]> {
  const messages: Uint8Array[] = [];
  const giveUpAt = performance.now() + MAX_WAIT_MS;
  let position = 0;
  let trouble: unknown;
  while (position < lastSeq) {
    try {
      const batch = await readBatch(nc, { stream, subject, fromSeq: position + 1, maxMessages: BATCH });
      messages.push(...batch.filter(({ isPublished }) => isPublished).map(({ data }) => data));
      position = batch.at(-1)?.seq ?? position;
      if (batch.length > 0) continue;
    } catch (error) {
      trouble = error;
    }
    if (performance.now() > giveUpAt) throw new BusUnavailable(`${subject} could not be read`, { cause: trouble });
    await delay(BEHIND_MS);
  }
  return messages;
}
