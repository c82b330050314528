import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import { nuid } from '@nats-io/nats-core';
import { orUnavailable, WrongLastSequence } from './bus-errors.ts';
import type { Publisher } from './publisher.ts';

/**
 * The server looks at the expected sequence before it looks for duplicates (measured on 2.15.1), so the second try of an
 * append whose first acknowledgement was lost is told "wrong last sequence". On a conflict, and only then, the leader is
 * asked whether the last message of the subject is that very append.
 */
export function recogniseOwnAppends(publisher: Publisher, jsm: JetStreamManager): Publisher {
  return {
    pending: () => publisher.pending(),
    async publish(subject, payload, options = {}) {
      if (options.expectedLastSubjectSeq === undefined) return publisher.publish(subject, payload, options);
      const msgId = options.msgId ?? nuid.next();
      try {
        return await publisher.publish(subject, payload, { ...options, msgId });
      } catch (error) {
        if (!(error instanceof WrongLastSequence)) throw error;
        const last = await orUnavailable(lastOf(jsm, subject), `the last ${subject}`);
        if (last?.header.get('Nats-Msg-Id') !== msgId) throw error;
        return { seq: last.seq, duplicate: true };
      }
    },
  };
}

async function lastOf({ streams }: JetStreamManager, subject: string): Promise<StoredMsg | null> {
  return streams.getMessage(await streams.find(subject), { last_by_subj: subject });
}
