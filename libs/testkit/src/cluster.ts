import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgresServer, type PostgresServer } from '#embedded/postgres';
import { findProcesses, processIdentity } from '#embedded/processes';
import { startNats, type TestNats } from './nats.ts';
import { spawnService, type SpawnedService } from './processes.ts';
import { callApi, expectStatus, makeTenantClient, type TenantClient } from './tenant-client.ts';

export interface ClusterOptions {
  /** Delivery processes, default 1. */
  readonly delivery?: number;
  /** Matcher processes, default 1. */
  readonly matcher?: number;
  /** All services in one process instead; then it is the only service, `all-in-one`. */
  readonly allInOne?: boolean;
  /** PEM file of the authorities that the sinks' certificates are from. */
  readonly caFile?: string;
  /** Variables for every service, on top of the defaults below. */
  readonly env?: Readonly<Record<string, string>>;
  /** More of them for one service, by its name. */
  readonly envOf?: (name: string) => Readonly<Record<string, string>>;
  /** The accounts of nats-server; then {@link natsUser} says who each service is. */
  readonly natsAccounts?: { readonly file: string; readonly env: Readonly<Record<string, string>> };
  /** `user:password` with which a service connects to NATS. */
  readonly natsUser?: (app: string) => string;
  /** Node options of a service by its name, for example to profile it. */
  readonly nodeOptions?: (name: string) => string | undefined;
}

/** Every service as a process of its own, as a cluster would run them, on one nats-server and one PostgreSQL. */
export interface Cluster {
  readonly publishUrl: string;
  /** Base of `/v1`. */
  readonly apiUrl: string;
  readonly adminToken: string;
  readonly natsUrl: string;
  readonly databaseUrl: string;
  /** `gateway`, `registry`, `signer`, `projector`, `janitor`, `matcher-1` …, `delivery-1` …: those that run. */
  services(): readonly SpawnedService[];
  service(name: string): SpawnedService;
  /** Process ids of everything, by name; `postgres` is the postmaster. */
  pids(): Readonly<Record<string, number>>;
  /** A new tenant (default: a random id) with a key of all scopes. */
  createTenantWithKey(tenant?: string): Promise<TenantClient>;
  /** Default SIGKILL: a crash. Resolves with the exit code when the process is gone. */
  kill(name: string, signal?: NodeJS.Signals): Promise<number | null>;
  /** Starts a service that was killed, on the same port. */
  restart(name: string): Promise<void>;
  /** SIGKILL; the store stays. */
  killNats(): Promise<void>;
  restartNats(): Promise<void>;
  stopPostgres(): Promise<void>;
  startPostgres(): Promise<void>;
  /** What the services logged at level warn and above, for a failure message. */
  complaints(): string;
  /** Stops everything in order and removes its directories. @throws Error when a process is left */
  stop(): Promise<void>;
}

interface Plan {
  readonly name: string;
  readonly app: string;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-e2e-'));
  // PostgreSQL does not run as root: its own user has to pass through.
  await chmod(directory, 0o711);
  const postgresDir = join(directory, 'postgres');
  const firstPostgres = await startPostgresServer({ dataDir: postgresDir });
  const nats = await startNats(natsOptions(options)).catch(async (error: unknown) => {
    await firstPostgres.stop();
    throw error;
  });
  let postgres: PostgresServer | undefined = firstPostgres;
  const { url: databaseUrl, port: postgresPort } = firstPostgres;
  const adminToken = `admin-${randomUUID()}`;
  const env = {
    ...environment(options, nats, databaseUrl, adminToken),
    POSTHASTE_DATA_DIR: join(directory, 'data'),
  };
  const running = new Map<string, SpawnedService>();
  const started: StartedProcess[] = [];
  const remember = async (pid: number): Promise<void> => {
    started.push({ pid, identity: await processIdentity(pid) });
  };
  await remember(nats.pid);
  await remember(firstPostgres.pid);

  async function start({ name, app }: Plan, port?: number): Promise<void> {
    const nodeOptions = options.nodeOptions?.(name);
    const service = await spawnService({
      name,
      app,
      env: {
        ...env,
        ...options.envOf?.(name),
        ...(options.natsUser === undefined
          ? {}
          : { POSTHASTE_NATS_URL: nats.url.replace('://', `://${options.natsUser(app)}@`) }),
        ...(port === undefined ? {} : { POSTHASTE_HTTP_PORT: String(port) }),
      },
      ...(nodeOptions === undefined ? {} : { nodeOptions }),
    });
    await remember(service.pid);
    running.set(name, service);
  }

  const service = (name: string): SpawnedService => {
    const found = running.get(name);
    if (found === undefined)
      throw new Error(`there is no service ${name}; there are ${[...running.keys()].join(', ')}`);
    return found;
  };

  // Every child is in a process group of its own: Ctrl-C reaches only us.
  const killAll = () => {
    for (const one of running.values()) one.kill('SIGKILL');
    for (const pid of [nats.pid, postgres?.pid]) if (pid !== undefined) endProcess(pid);
  };
  process.once('exit', killAll);

  async function stop(): Promise<void> {
    process.off('exit', killAll);
    const last = ['registry', 'signer', 'projector', 'janitor'];
    const services = [...running.values()];
    await Promise.all(services.filter(({ name }) => !last.includes(name)).map((one) => one.stop()));
    await Promise.all(services.filter(({ name }) => last.includes(name)).map((one) => one.stop()));
    await Promise.all([nats.stop(), postgres?.stop()]);
    const left = [...(await survivors(started)), ...(await findProcesses(directory))];
    await rm(directory, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`processes are left running: ${left.join(', ')}`);
  }

  const results = await Promise.allSettled(plans(options).map((plan) => start(plan)));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) {
    await stop();
    throw failure.reason;
  }
  const { allInOne = false } = options;
  const publishUrl = `${service(allInOne ? 'all-in-one' : 'gateway').url}/publish`;
  const apiUrl = service(allInOne ? 'all-in-one' : 'registry').url;

  return {
    publishUrl,
    apiUrl,
    adminToken,
    natsUrl: nats.url,
    databaseUrl,
    services: () => [...running.values()],
    service,
    pids: () => ({
      ...Object.fromEntries([...running.values()].map(({ name, pid }) => [name, pid])),
      nats: nats.pid,
      ...(postgres === undefined ? {} : { postgres: postgres.pid }),
    }),
    async createTenantWithKey(tenant = `t-${randomBytes(4).toString('hex')}`) {
      const key = await createTenant({ apiUrl, adminToken, tenant });
      return makeTenantClient({ tenant, key, publishUrl, apiUrl });
    },
    async kill(name, signal = 'SIGKILL') {
      const one = service(name);
      one.kill(signal);
      return (await one.exited).code;
    },
    restart: (name) => start({ name, app: name.replace(/-\d+$/, '') }, service(name).port),
    killNats: () => nats.kill(),
    async restartNats() {
      await nats.restart();
      await remember(nats.pid);
    },
    async stopPostgres() {
      await postgres?.stop();
      postgres = undefined;
    },
    async startPostgres() {
      postgres = await startPostgresServer({ dataDir: postgresDir, port: postgresPort });
      await remember(postgres.pid);
    },
    complaints: () => [...running.values()].flatMap(complaintsOf).join('\n'),
    stop,
  };
}

function natsOptions({ natsAccounts }: ClusterOptions): Parameters<typeof startNats>[0] {
  if (natsAccounts === undefined) return {};
  return { accountsFile: natsAccounts.file, env: { ...process.env, ...natsAccounts.env } };
}

/** SIGINT ends nats-server at once, and PostgreSQL without a recovery at the next start. */
function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGINT');
  } catch {
    return;
  }
}

function plans({ delivery = 1, matcher = 1, allInOne = false }: ClusterOptions): readonly Plan[] {
  if (allInOne) return [{ name: 'all-in-one', app: 'all-in-one' }];
  const several = (app: string, count: number) =>
    Array.from({ length: count }, (_, i): Plan => ({ name: `${app}-${i + 1}`, app }));
  const single = ['gateway', 'registry', 'signer', 'projector', 'janitor'].map((app): Plan => ({ name: app, app }));
  return [...single, ...several('matcher', matcher), ...several('delivery', delivery)];
}

/** Sinks of a test are on the loopback interface, which the guard refuses by default. */
function environment(
  options: ClusterOptions,
  nats: TestNats,
  databaseUrl: string,
  adminToken: string,
): Record<string, string> {
  return {
    POSTHASTE_HTTP_HOST: '127.0.0.1',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DATABASE_URL: databaseUrl,
    POSTHASTE_ADMIN_TOKEN: adminToken,
    POSTHASTE_MASTER_KEY: randomBytes(32).toString('base64'),
    POSTHASTE_SINK_ALLOW: '127.0.0.0/8,::1/128',
    ...(options.caFile === undefined ? {} : { POSTHASTE_SINK_CA_FILE: options.caFile }),
    ...options.env,
  };
}

async function createTenant(at: { apiUrl: string; adminToken: string; tenant: string }): Promise<string> {
  const headers = { authorization: `Bearer ${at.adminToken}` };
  const url = `${at.apiUrl}/v1/tenants/${at.tenant}`;
  const made = await callApi('PUT', url, { headers, body: {} });
  if (made.status !== 200) expectStatus(201, `PUT /v1/tenants/${at.tenant}`, made);
  const body = { scopes: ['publish', 'manage', 'read'] };
  const answer = await callApi('POST', `${url}/keys`, { headers, body });
  return expectStatus(201, `POST /v1/tenants/${at.tenant}/keys`, answer).json<{ key: string }>().key;
}

function complaintsOf({ name, log }: SpawnedService): string[] {
  const isComplaint = (line: string) => !line.startsWith('{') || /"level":(40|50|60)/.test(line);
  return log()
    .filter(isComplaint)
    .slice(-20)
    .map((line) => `${name}: ${line.slice(0, 600)}`);
}

/** A process id alone may be somebody else's by now. */
interface StartedProcess {
  readonly pid: number;
  readonly identity: string | undefined;
}

async function survivors(started: readonly StartedProcess[]): Promise<number[]> {
  const now = await Promise.all(started.map(({ pid }) => processIdentity(pid)));
  return started.filter(({ identity }, i) => identity !== undefined && identity === now[i]).map(({ pid }) => pid);
}
