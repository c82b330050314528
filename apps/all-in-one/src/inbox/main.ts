import { startService } from '#platform/bootstrap';
import { describeConfig, loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError, runService } from '#platform/run';
import { configSchema } from './config.ts';
import { InboxModule } from './inbox.module.ts';

const name = 'inbox';
const logger = makeLogger({ name, level: process.env['POSTHASTE_LOG_LEVEL'] ?? 'info' });
try {
  const config = loadConfig(configSchema, process.env);
  logger.info({ config: describeConfig(configSchema, config) }, 'starting');
  await runService(logger, () =>
    startService({ name, config, logger, maxBodyBytes: 16 * 1024 * 1024, modules: [InboxModule] }),
  );
} catch (error) {
  exitWithError(logger, error);
}
