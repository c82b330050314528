import { describeConfig, loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError, runService } from '#platform/run';
import { configSchema } from './config.ts';
import { startAllInOne } from './start-all-in-one.ts';

const logger = makeLogger({ name: 'all-in-one', level: process.env['POSTHASTE_LOG_LEVEL'] ?? 'info' });
try {
  const config = loadConfig(configSchema, process.env);
  logger.info({ config: describeConfig(configSchema, config) }, 'starting');
  await runService(logger, () =>
    startAllInOne({ config, env: process.env, logger, print: (text) => process.stdout.write(text) }),
  );
} catch (error) {
  exitWithError(logger, error);
}
