import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '#embedded/free-port';
import { readRuntime, type Runtime } from '#embedded/runtime-file';
import { startServiceProcess, type ServiceProcess } from '#embedded/service-process';
import { loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { exitWithError, untilSignal } from '#platform/run';
import { configSchema, type AllInOneConfig } from './config.ts';
import { send } from './http-client.ts';
import { DemoFailed, runDemo } from './run-demo.ts';

const USAGE = `Usage: npm run demo -- [--events 10] [--keep]

Publishes events to Posthaste and shows each one arriving in the built-in inbox, signature verified.
Starts Posthaste if it is not running, and stops it again unless --keep is given.
`;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const logger = makeLogger({ name: 'demo', level: 'warn' });
try {
  process.exitCode = await main();
} catch (error) {
  exitWithError(logger, error);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '10' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  const config = loadConfig(configSchema, process.env);
  const interrupted = untilSignal();
  const running = await findRunning(config.POSTHASTE_DATA_DIR);
  const started = running === undefined ? await startPosthaste(config) : undefined;
  try {
    const runtime = running ?? (await findRunning(config.POSTHASTE_DATA_DIR));
    if (runtime === undefined) throw new DemoFailed('Posthaste was started, but does not answer.');
    const { httpUrl, registryUrl, inboxUrl, apiKey } = runtime;
    print(`Posthaste ${running === undefined ? 'is up' : 'is running already'} at ${httpUrl}`);
    const run = randomBytes(3).toString('hex');
    const eventCount = Math.max(1, Number.parseInt(values.events, 10) || 10);
    const demo = runDemo({ httpUrl, registryUrl, inboxUrl, apiKey, eventCount, run, print });
    await Promise.race([demo, interrupted.then(() => Promise.reject(new DemoFailed('Interrupted.')))]);
    print(
      `See them:      ${inboxUrl}/demo${running === undefined && !values.keep ? ' (with --keep or npm start)' : ''}`,
    );
    print(`Look them up:  curl -H 'Authorization: Bearer ${apiKey}' '${registryUrl}/v1/deliveries?event=${run}-1'`);
    if (started !== undefined && values.keep) {
      print('Posthaste goes on until Ctrl-C.');
      await interrupted;
    }
  } finally {
    await started?.stop();
  }
  return 0;
}

/** What runs on the data directory and answers. */
async function findRunning(dataDir: string): Promise<Runtime | undefined> {
  const runtime = await readRuntime(dataDir);
  if (runtime === undefined) return undefined;
  const answer = await send(`${runtime.httpUrl}/livez`).catch(() => undefined);
  return answer?.ok === true ? runtime : undefined;
}

/** As `npm start` would, but on another port when the usual one is taken and nobody asked for it. */
async function startPosthaste(config: AllInOneConfig): Promise<ServiceProcess> {
  print('Starting Posthaste …');
  const { POSTHASTE_HTTP_HOST: host, POSTHASTE_HTTP_PORT: wanted } = config;
  const isAskedFor = wanted !== 0 && process.env['POSTHASTE_HTTP_PORT'] !== undefined;
  const port = isAskedFor ? wanted : await freePort(host, wanted);
  const service = await startServiceProcess({
    name: 'Posthaste',
    script: fileURLToPath(new URL('./main.js', import.meta.url)),
    env: { POSTHASTE_LOG_LEVEL: 'warn', ...process.env, POSTHASTE_HTTP_PORT: String(port) },
    readyTimeoutMs: 120_000,
  });
  // The default tenant is made when the service is ready: wait for the file that says so.
  for (const end = performance.now() + 30_000; performance.now() < end; await delay(50)) {
    if ((await findRunning(config.POSTHASTE_DATA_DIR)) !== undefined) break;
  }
  return service;
}
