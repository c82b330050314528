import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';

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
  { jsm }: Pick<Bus, 'jsm'>,
  { stream, subject, lastSeq }: { readonly stream: string; readonly subject: string; readonly lastSeq: number },
): Promise<readonly Uint8Array[]> {
  const messages: Uint8Array[] = [];
  const giveUpAt = performance.now() + MAX_WAIT_MS;
  let position = 0;
  let trouble: unknown;
  while (position < lastSeq) {
    const before = messages.length;
    try {
      const from = { seq: position + 1, batch: BATCH, next_by_subj: subject };
      for await (const { seq, data } of await jsm.direct.getBatch(stream, from)) {
        messages.push(data);
        position = seq;
      }
    } catch (error) {
      trouble = error;
    }
    if (messages.length > before) continue;
    if (performance.now() > giveUpAt) throw new BusUnavailable(`${subject} could not be read`, { cause: trouble });
    await delay(BEHIND_MS);
  }
  return messages;
}
