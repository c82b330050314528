import { parseArgs } from 'node:util';
import { loadConfig, describeConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError, untilSignal } from '#platform/run';
import { welcomeOf } from './announce.ts';
import { clusterConfigSchema } from './config.ts';
import { startCluster } from './start-cluster.ts';

const USAGE = `Usage: npm run cluster -- [--delivery 2] [--matcher 2]

Runs every service as a process of its own. Configuration as for npm start (docs/configuration.md).
`;

const logger = makeLogger({ name: 'cluster', level: process.env['POSTHASTE_LOG_LEVEL'] ?? 'info' });
try {
  await main();
} catch (error) {
  exitWithError(logger, error);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { delivery: { type: 'string' }, matcher: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const startedAtMs = performance.now();
  const config = loadConfig(clusterConfigSchema, {
    ...process.env,
    ...(values.delivery === undefined ? {} : { POSTHASTE_CLUSTER_DELIVERY: values.delivery }),
    ...(values.matcher === undefined ? {} : { POSTHASTE_CLUSTER_MATCHER: values.matcher }),
  });
  logger.info({ config: describeConfig(clusterConfigSchema, config) }, 'starting');
  const stopped = untilSignal();
  const onLine = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const cluster = await startCluster({ config, env: process.env, logger, onLine });
  const more = cluster.services.map(({ plan, url }) => [plan.name, `${url}/metrics`] as const);
  process.stdout.write(
    welcomeOf(cluster.runtime, cluster.installation, config, { startedInMs: performance.now() - startedAtMs, more }),
  );
  logger.info({ signal: await stopped }, 'draining');
  await cluster.stop();
  process.exit(0);
}
