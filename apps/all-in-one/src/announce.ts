import { randomBytes } from 'node:crypto';
import { writeRuntime, type Runtime } from '#embedded/runtime-file';
import { productVersion } from '#platform/version';
import type { AllInOneConfig } from './config.ts';
import { DEFAULT_TENANT, ensureDefaultTenant } from './default-tenant.ts';
import { inboxSecret } from './inbox/inbox-secret.ts';
import type { Installation } from './installation.ts';
import type { ServicesConfig } from './services-config.ts';
import { welcomeText, type Welcome } from './welcome.ts';

/** Makes the default tenant and writes `runtime.json`: from now on the tools beside the service find it. */
export async function announce(
  { adminToken, secrets, natsUrl, databaseUrl, dataDir }: Installation,
  { POSTHASTE_INBOX_URL: inboxUrl }: ServicesConfig,
  urls: Pick<Runtime, 'httpUrl' | 'registryUrl'>,
): Promise<Runtime> {
  const runtime: Runtime = {
    pid: process.pid,
    ...urls,
    inboxUrl,
    natsUrl,
    databaseUrl,
    adminToken,
    tenant: DEFAULT_TENANT,
    apiKey: await ensureDefaultTenant({ registryUrl: urls.registryUrl, adminToken, secrets }),
  };
  await writeRuntime(dataDir, runtime);
  return runtime;
}

/** What is printed when everything is up. Not the secrets that the operator has configured: it may be a log that is kept. */
export function welcomeOf(
  { registryUrl, httpUrl, inboxUrl, natsUrl, adminToken, tenant, apiKey }: Runtime,
  { inboxKey, dataDir }: Pick<Installation, 'inboxKey' | 'dataDir'>,
  config: Pick<
    AllInOneConfig,
    'POSTHASTE_HTTP_HOST' | 'POSTHASTE_NATS_URL' | 'POSTHASTE_DEPLOYMENT' | 'POSTHASTE_ADMIN_TOKEN'
  >,
  more: Pick<Welcome, 'startedInMs' | 'more'> & Partial<Pick<Welcome, 'httpUrl' | 'registryUrl'>>,
): string {
  return welcomeText({
    version: productVersion(),
    httpUrl,
    registryUrl,
    inboxUrl,
    inboxSecret: inboxSecret(inboxKey, 'hello'),
    adminToken: config.POSTHASTE_ADMIN_TOKEN === undefined ? adminToken : 'the one of POSTHASTE_ADMIN_TOKEN',
    tenant,
    apiKey,
    dataDir,
    natsUrl: config.POSTHASTE_NATS_URL === undefined ? natsUrl : withoutCredentials(natsUrl),
    deployment: config.POSTHASTE_DEPLOYMENT,
    httpHost: config.POSTHASTE_HTTP_HOST,
    eventId: `hello-${randomBytes(3).toString('hex')}`,
    ...more,
  });
}

/** Of NATS servers, comma-separated. */
export function withoutCredentials(servers: string): string {
  return servers.replace(/(^|,|\/\/)[^,/]*@/g, '$1');
}
