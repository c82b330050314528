import { JetStreamApiError } from '@nats-io/jetstream';
import type { Bus } from '#bus/connection';
import { ensureConsumer } from '#bus/ensure-consumer';
import type { Database } from '#store/database';
import { truncateProjections } from '#store/truncate-projections';

const CONSUMER_NOT_FOUND = 10014;

/**
 * Empties the projections and sets their consumers back to the first message that the streams still have. Safe to repeat
 * from any point, and beside other projectors: what they still write is written once more.
 */
export async function resetProjections(bus: Bus, db: Database): Promise<void> {
  const wanted = bus.topology
    .consumerConfigs()
    .filter(({ config }) => config.durable_name === bus.topology.consumers.projector);
  // While nobody can write: a projector that goes on makes its consumer again as soon as it misses it, and what it wrote and
  // acknowledged before the tables are empty would be gone.
  await truncateProjections(db, async () => {
    for (const { stream, config } of wanted) await deleteConsumer(bus, stream, config.durable_name);
    for (const consumer of wanted) await ensureConsumer(bus.jsm, consumer);
  });
}

async function deleteConsumer({ jsm }: Bus, stream: string, name: string): Promise<void> {
  try {
    await jsm.consumers.delete(stream, name);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== CONSUMER_NOT_FOUND) throw error;
  }
}
