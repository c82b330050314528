import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { startServiceProcess, type ServiceProcess } from '#embedded/service-process';
import { portOfOwn } from './port-of-own.ts';

export interface SpawnServiceOptions {
  /** `gateway`, `delivery-2`. */
  readonly name: string;
  /** Folder below `apps/`: `dist/apps/<app>/src/main.js` is run. */
  readonly app: string;
  /** The POSTHASTE_ variables; nothing of that name is inherited. A port is found when none is given. */
  readonly env: Readonly<Record<string, string>>;
  /** For example `--cpu-prof`. */
  readonly nodeOptions?: string;
}

export interface SpawnedService extends ServiceProcess {
  readonly port: number;
  /** All that it wrote, up to the last 20 000 lines. */
  log(): readonly string[];
}

const LOG_MAX_LINES = 20_000;

/** Nine services that start at once on two cores, which have other things to do. */
const READY_TIMEOUT_MS = 75_000;

/** Where package.json is; the built services are in `dist` below it. */
export function repositoryRoot(): string {
  const path = findPackageJSON('..', import.meta.url);
  if (path === undefined) throw new Error('there is no package.json above the testkit');
  return dirname(path);
}

/**
 * Starts one service from the build as a process of its own and waits until it is ready.
 *
 * @throws ServiceProcessFailed
 */
export async function spawnService({ name, app, env, nodeOptions }: SpawnServiceOptions): Promise<SpawnedService> {
  const port = Number(env['POSTHASTE_HTTP_PORT'] ?? (await portOfOwn()));
  const lines: string[] = [];
  const service = await startServiceProcess({
    name,
    script: join(repositoryRoot(), 'dist', 'apps', app, 'src', 'main.js'),
    env: {
      ...inheritedEnvironment(),
      ...env,
      POSTHASTE_HTTP_PORT: String(port),
      ...(nodeOptions === undefined ? {} : { NODE_OPTIONS: nodeOptions }),
    },
    readyTimeoutMs: READY_TIMEOUT_MS,
    onLine(line) {
      if (lines.push(line) > LOG_MAX_LINES) lines.shift();
    },
  });
  return { ...service, port, log: () => lines };
}

/** No POSTHASTE_ variable of the shell may change a test, nor the options of the test runner a service. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('POSTHASTE_') && name !== 'NODE_OPTIONS'),
  );
}
