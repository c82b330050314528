import type { AllInOneConfig } from './config.ts';
import type { Installation } from './installation.ts';

/** The configuration with everything filled in that was started or generated: enough for every service. */
export type ServicesConfig = ReturnType<typeof servicesConfig>;

export function servicesConfig(
  config: AllInOneConfig,
  installation: Installation,
  { httpPort, inboxPort }: { httpPort: number; inboxPort: number },
) {
  const { POSTHASTE_HTTP_HOST: host } = config;
  return {
    ...config,
    POSTHASTE_HTTP_PORT: httpPort,
    POSTHASTE_DATA_DIR: installation.dataDir,
    POSTHASTE_ADMIN_TOKEN: installation.adminToken,
    POSTHASTE_MASTER_KEY: installation.masterKey,
    POSTHASTE_NATS_URL: installation.natsUrl,
    POSTHASTE_DATABASE_URL: installation.databaseUrl,
    POSTHASTE_INBOX_URL: config.POSTHASTE_INBOX_URL ?? `${localUrl(host, inboxPort)}/inbox`,
    POSTHASTE_INBOX_KEY: installation.inboxKey,
    POSTHASTE_PUBLIC_URL: config.POSTHASTE_PUBLIC_URL ?? localUrl(host, httpPort),
  };
}

/** How processes of this machine reach a server that listens on `host`. */
export function localUrl(host: string, port: number): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
