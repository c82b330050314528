import { BusModule } from '#bus/bus.module';
import { startService } from '#platform/bootstrap';
import { describeConfig, loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError, runService } from '#platform/run';
import { configSchema } from './config.ts';
import { RegistryModule } from './registry.module.ts';

const name = 'registry';
const logger = makeLogger({ name, level: process.env['POSTHASTE_LOG_LEVEL'] ?? 'info' });
try {
  const config = loadConfig(configSchema, process.env);
  logger.info({ config: describeConfig(configSchema, config) }, 'starting');
  await runService(logger, () =>
    startService({ name, config, logger, modules: [BusModule.forRoot({ name, config }), RegistryModule] }),
  );
} catch (error) {
  exitWithError(logger, error);
}
