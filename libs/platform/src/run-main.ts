import type { z } from 'zod';
import { startService, type ServiceOptions } from './bootstrap.ts';
import { ConfigError, describeConfig, loadConfig } from './config.ts';
import { makeLogger } from './logger.ts';
import { exitWithError, runService } from './run.ts';

type ServiceConfig = ServiceOptions['config'] & { readonly POSTHASTE_LOG_LEVEL: string };
type ServiceSchema = z.ZodObject & z.ZodType<ServiceConfig>;

export interface Main<Schema extends ServiceSchema> {
  readonly name: string;
  readonly configSchema: Schema;
  /** `process.env`: only a `main.ts` reads it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the service is made of, once its configuration is known to be valid. */
  readonly compose: (config: z.output<Schema>) => Pick<ServiceOptions, 'modules' | 'maxBodyBytes'>;
}

/** The whole `main` of a service: read the configuration, say what it is, run until a signal. */
export async function runMain<Schema extends ServiceSchema>(main: Main<Schema>): Promise<void> {
  const { name, configSchema, env, compose } = main;
  try {
    const config = loadConfig(configSchema, env);
    const logger = makeLogger({ name, level: config.POSTHASTE_LOG_LEVEL });
    logger.info({ config: describeConfig(configSchema, config) }, 'starting');
    await runService(logger, () => startService({ name, config, logger, ...compose(config) }));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    exitWithError(makeLogger({ name }), error);
  }
}
