import { orUnavailable, WrongLastSequence } from './bus-errors.ts';
import type { Bus } from './connection.ts';

/** The right to do something that nobody else may do meanwhile, for {@link import('./topology.ts').LEASE_SECONDS}. */
export interface Lease {
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
    const { seq } = await publisher.publish(subject, HELD, { expectedLastSubjectSeq: last?.seq ?? 0 });
    return { release: () => release(seq) };
  } catch (error) {
    if (error instanceof WrongLastSequence) return undefined;
    throw error;
  }

  async function release(heldSeq: number): Promise<void> {
    await publisher.publish(subject, FREE, { expectedLastSubjectSeq: heldSeq }).catch(() => undefined);
  }
}
