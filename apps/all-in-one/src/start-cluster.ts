import { freePort } from '#embedded/free-port';
import type { Runtime } from '#embedded/runtime-file';
import { startServiceProcess, type ServiceProcess } from '#embedded/service-process';
import { supervise, type Supervised } from '#embedded/supervise';
import type { Logger } from '#platform/logger';
import { announce } from './announce.ts';
import {
  planProcesses,
  processOptions,
  STOP_STAGES,
  type ClusterPorts,
  type ClusterProcess,
} from './cluster-processes.ts';
import type { ClusterConfig } from './config.ts';
import { openInstallation, type Installation } from './installation.ts';
import { localUrl, servicesConfig } from './services-config.ts';

export interface ClusterOptions {
  readonly config: ClusterConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Receives what the services write, line by line. */
  readonly onLine?: (line: string) => void;
}

export interface ClusterService {
  readonly plan: ClusterProcess;
  readonly url: string;
  /** The process that is up, or undefined while it is being restarted. */
  current(): ServiceProcess | undefined;
}

export interface RunningCluster {
  readonly runtime: Runtime;
  readonly installation: Installation;
  readonly services: readonly ClusterService[];
  /** Drains stage by stage, then ends the servers. */
  stop(): Promise<void>;
}

type SupervisedService = ClusterProcess & { readonly supervised: Supervised<ServiceProcess> };

/**
 * Starts every service as a process of its own, as Kubernetes will, each supervised, against the embedded servers or
 * external ones. Resolves when all are ready.
 *
 * @throws ServiceProcessFailed naming the first service that did not start; nothing is left running then
 */
export async function startCluster({ config, env, logger, onLine }: ClusterOptions): Promise<RunningCluster> {
  const host = config.POSTHASTE_HTTP_HOST;
  const ports = await choosePorts(config);
  const installation = await openInstallation({ config, env, httpPorts: Object.values(ports), logger });
  const services = servicesConfig(config, installation, { httpPort: ports.gateway, inboxPort: ports.inbox });
  const running: SupervisedService[] = [];
  const stop = async (): Promise<void> => {
    await stopInStages(running);
    await installation.close();
  };
  try {
    const planned = await planProcesses(config, ports);
    const starting = planned.map(async (plan) => {
      const options = { ...processOptions(plan, services, env), ...(onLine === undefined ? {} : { onLine }) };
      const supervised = await supervise({ name: plan.name, start: () => startServiceProcess(options), logger });
      running.push({ ...plan, supervised });
    });
    await Promise.allSettled(starting);
    await Promise.all(starting);
    const runtime = await announce(installation, services, {
      httpUrl: localUrl(host, ports.gateway),
      registryUrl: localUrl(host, ports.registry),
    });
    return { runtime, installation, services: planned.map((plan) => clusterService(plan, running, host)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Registry and inbox are beside the gateway: one can guess them, and sinks that were subscribed go on to work. */
async function choosePorts({
  POSTHASTE_HTTP_HOST: host,
  POSTHASTE_HTTP_PORT: port,
}: ClusterConfig): Promise<ClusterPorts> {
  if (port !== 0) return { gateway: port, registry: port + 1, inbox: port + 2 };
  return { gateway: await freePort(host), registry: await freePort(host), inbox: await freePort(host) };
}

function clusterService(plan: ClusterProcess, running: readonly SupervisedService[], host: string): ClusterService {
  const supervised = running.find(({ name }) => name === plan.name)?.supervised;
  return { plan, url: localUrl(host, plan.port), current: () => supervised?.current() };
}

async function stopInStages(running: readonly SupervisedService[]): Promise<void> {
  for (const stage of STOP_STAGES) {
    const members = running.filter(({ service }) => stage.includes(service));
    await Promise.all(members.map(({ supervised }) => supervised.stop()));
  }
}
