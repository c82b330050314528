import { BusUnavailable } from '#bus/bus-errors';
import type { Bus } from '#bus/connection';
import { request } from '#bus/request';
import type { Database } from '#store/database';
import { migrate } from '#store/migrate';
import { rebuildSubject } from './config.ts';
import { resetProjections } from './rebuild-projections.ts';

/** Emptying takes moments; a projector that waits for PostgreSQL longer than this goes on by itself. */
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Asks the projector that runs to rebuild. When none does, empties the projections here: the next one that starts replays.
 *
 * @returns who did it
 * @throws BusUnavailable when a projector was asked and did not answer in time
 */
export async function requestRebuild(bus: Bus, db: Database): Promise<'projector' | 'here'> {
  try {
    await request(bus, rebuildSubject(bus.topology.options.deployment), new Uint8Array(), ANSWER_TIMEOUT_MS);
    return 'projector';
  } catch (error) {
    if (!(error instanceof BusUnavailable) || !error.message.startsWith('nobody serves')) throw error;
  }
  await migrate(db);
  await resetProjections(bus, db);
  return 'here';
}
