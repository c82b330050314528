import { BusModule } from '#bus/bus.module';
import { startService } from '#platform/bootstrap';
import { describeConfig, loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError, runService } from '#platform/run';
import { configSchema } from './config.ts';
import { ProjectorModule } from './projector.module.ts';

const name = 'projector';
const logger = makeLogger({ name, level: process.env['POSTHASTE_LOG_LEVEL'] ?? 'info' });
try {
  const config = loadConfig(configSchema, process.env);
  logger.info({ config: describeConfig(configSchema, config) }, 'starting');
  await runService(logger, () =>
    startService({ name, config, logger, modules: [BusModule.forRoot({ name, config }), ProjectorModule] }),
  );
} catch (error) {
  exitWithError(logger, error);
}
