import { z } from 'zod';
import { connectBus } from '#bus/connection';
import { readRuntime } from '#embedded/runtime-file';
import { busVariables, loadConfig, serviceVariables, storeVariables } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError } from '#platform/run';
import { openDatabase } from '#store/database';
import { requestRebuild } from './request-rebuild.ts';

// npm run rebuild-projections: of what the environment says, else of what runs on the data directory.

const name = 'rebuild-projections';
const configSchema = z.object({ ...serviceVariables, ...busVariables, ...storeVariables });
const logger = makeLogger({ name, level: process.env['POSTHASTE_LOG_LEVEL'] ?? 'warn' });
try {
  const runtime = await readRuntime(process.env['POSTHASTE_DATA_DIR'] ?? '.posthaste');
  const running = runtime && {
    POSTHASTE_NATS_URL: runtime.natsUrl,
    POSTHASTE_DATABASE_URL: runtime.databaseUrl,
  };
  const config = loadConfig(configSchema, { ...running, ...process.env });
  const bus = await connectBus({
    servers: config.POSTHASTE_NATS_URL,
    name,
    deployment: config.POSTHASTE_DEPLOYMENT,
    logger,
  });
  const db = openDatabase({ url: config.POSTHASTE_DATABASE_URL, logger, applicationName: name });
  const by = await requestRebuild(bus, db);
  process.stdout.write(
    by === 'projector'
      ? 'The projector has emptied the read side and replays the streams.\n'
      : 'No projector is running: the read side is empty now, the next one that starts replays the streams.\n',
  );
  await db.close();
  await bus.close();
} catch (error) {
  exitWithError(logger, error);
}
