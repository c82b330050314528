import { orUnavailable, WrongLastSequence } from './bus-errors.ts';
import type { Bus } from './connection.ts';

/** The right to do something that nobody else may do meanwhile, for {@link import('./topology.ts').LEASE_SECONDS}. */
export interface Lease {
  /** Holds it for as long again from now on, unless another one has it by now. Never rejects: later it may go well. */
  renew(): Promise<void>;
  /** Gives it back before its time. Never rejects: it ends by itself as well. */
  release(): Promise<void>;
}

const HELD = Buffer.from('held');
const FREE = Buffer.from('free');

/**
 * Takes the lease of a subject on LEASES: writes that it is held, expecting that nobody wrote since it was looked at. The
 * server forgets the message of a holder that was killed.
 *
 * @returns undefined when another one holds it
 * @throws BusUnavailable
 */
export async function takeLease(
  { publisher, topology, jsm }: Pick<Bus, 'publisher' | 'topology' | 'jsm'>,
  subject: string,
): Promise<Lease | undefined> {
  const query = { last_by_subj: subject };
  const last = await orUnavailable(jsm.streams.getMessage(topology.streams.LEASES, query), `who holds ${subject}`);
  if (last?.string() === HELD.toString()) return undefined;
  try {
    let { seq } = await publisher.publish(subject, HELD, { expectedLastSubjectSeq: last?.seq ?? 0 });
    return {
      release: () => release(seq),
      async renew() {
        // 0: the server has forgotten that it was held, and nobody has taken it since.
        for (const expectedLastSubjectSeq of [seq, 0]) {
          const renewed = await publisher.publish(subject, HELD, { expectedLastSubjectSeq }).catch(() => undefined);
          if (renewed === undefined) continue;
          seq = renewed.seq;
          return;
        }
      },
    };
  } catch (error) {
    if (error instanceof WrongLastSequence) return undefined;
    throw error;
  }

  async function release(heldSeq: number): Promise<void> {
    await publisher.publish(subject, FREE, { expectedLastSubjectSeq: heldSeq }).catch(() => undefined);
  }
}
