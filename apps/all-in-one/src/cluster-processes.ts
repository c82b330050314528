import { dirname, join } from 'node:path';
import { findPackageJSON } from 'node:module';
import type { z } from 'zod';
import { freePort } from '#embedded/free-port';
import type { ServiceProcessOptions } from '#embedded/service-process';
import { configSchema as delivery } from '../../delivery/src/config.ts';
import { configSchema as gateway } from '../../gateway/src/config.ts';
import { configSchema as janitor } from '../../janitor/src/config.ts';
import { configSchema as matcher } from '../../matcher/src/config.ts';
import { configSchema as projector } from '../../projector/src/config.ts';
import { configSchema as registry } from '../../registry/src/config.ts';
import { configSchema as signer } from '../../signer/src/config.ts';
import type { ClusterConfig } from './config.ts';
import { configSchema as inbox } from './inbox/config.ts';
import { ownerArgument } from './installation.ts';
import type { ServicesConfig } from './services-config.ts';

/** Which schema and which compiled main belong to a service. */
const SERVICES = {
  gateway: { schema: gateway, main: 'gateway/src/main.js' },
  registry: { schema: registry, main: 'registry/src/main.js' },
  matcher: { schema: matcher, main: 'matcher/src/main.js' },
  delivery: { schema: delivery, main: 'delivery/src/main.js' },
  signer: { schema: signer, main: 'signer/src/main.js' },
  projector: { schema: projector, main: 'projector/src/main.js' },
  janitor: { schema: janitor, main: 'janitor/src/main.js' },
  inbox: { schema: inbox, main: 'all-in-one/src/inbox/main.js' },
} as const;

export type ServiceName = keyof typeof SERVICES;

/**
 * The order of shutdown: first what lets work in, then each stage behind it, last what all of them ask. The services of a
 * stage stop together.
 */
export const STOP_STAGES: readonly (readonly ServiceName[])[] = [
  ['gateway', 'registry'],
  ['matcher'],
  ['delivery'],
  ['signer', 'projector', 'janitor', 'inbox'],
];

export interface ClusterProcess {
  readonly service: ServiceName;
  /** `gateway`, `delivery-2`. */
  readonly name: string;
  readonly port: number;
}

export interface ClusterPorts {
  readonly gateway: number;
  readonly registry: number;
  readonly inbox: number;
}

/** Every process of the cluster; those whose port nobody has to know get a free one. */
export async function planProcesses(config: ClusterConfig, ports: ClusterPorts): Promise<ClusterProcess[]> {
  const { POSTHASTE_HTTP_HOST: host, POSTHASTE_CLUSTER_MATCHER, POSTHASTE_CLUSTER_DELIVERY } = config;
  const fixed = new Map<ServiceName, number>(Object.entries(ports) as [ServiceName, number][]);
  const counts = new Map<ServiceName, number>([
    ['matcher', POSTHASTE_CLUSTER_MATCHER],
    ['delivery', POSTHASTE_CLUSTER_DELIVERY],
  ]);
  const planned: ClusterProcess[] = [];
  for (const service of Object.keys(SERVICES) as ServiceName[]) {
    const count = counts.get(service) ?? 1;
    for (let n = 1; n <= count; n++) {
      const name = count === 1 ? service : `${service}-${n}`;
      planned.push({ service, name, port: fixed.get(service) ?? (await freePort(host)) });
    }
  }
  return planned;
}

/** How a process is started: it gets the variables of its own schema and no others, so that only the signer has keys. */
export function processOptions(
  { service, name, port }: ClusterProcess,
  config: ServicesConfig,
  env: Readonly<Record<string, string | undefined>>,
): Pick<ServiceProcessOptions, 'name' | 'script' | 'args' | 'env'> {
  const { schema, main } = SERVICES[service];
  return {
    name,
    script: join(packageRoot(), 'dist', 'apps', main),
    args: [ownerArgument(config.POSTHASTE_DATA_DIR)],
    env: { ...environmentFor(schema, env, config), POSTHASTE_HTTP_PORT: String(port) },
  };
}

/** Those that have been started or generated; everything else comes from the environment as it is. */
const RESOLVED = [
  'POSTHASTE_ADMIN_TOKEN',
  'POSTHASTE_MASTER_KEY',
  'POSTHASTE_NATS_URL',
  'POSTHASTE_DATABASE_URL',
  'POSTHASTE_INBOX_URL',
  'POSTHASTE_INBOX_KEY',
  'POSTHASTE_PUBLIC_URL',
] as const;

export function environmentFor(
  schema: z.ZodObject,
  env: Readonly<Record<string, string | undefined>>,
  config: Pick<ServicesConfig, (typeof RESOLVED)[number]>,
): Record<string, string | undefined> {
  const isWanted = (name: string): boolean => !name.startsWith('POSTHASTE_') || name in schema.shape;
  const resolved = RESOLVED.map((name) => [name, config[name]] as const);
  return Object.fromEntries([...Object.entries(env), ...resolved].filter(([name]) => isWanted(name)));
}

/** Also when this runs from source: the services run compiled. */
function packageRoot(): string {
  return dirname(findPackageJSON('..', import.meta.url) ?? '.');
}
