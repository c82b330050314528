import type { EgressConfig } from '#platform/config';
import type { GuardedClientOptions } from './guarded-client.ts';

/** The variables of an installation as options of its {@link makeGuardedClient}; time limits are for each service to add. */
export function toClientOptions(config: EgressConfig): GuardedClientOptions {
  const { POSTHASTE_INBOX_URL: inboxUrl, POSTHASTE_SINK_CA_FILE: caFile, POSTHASTE_SINK_PROXY_URL: proxyUrl } = config;
  const proxy = {
    bypass: config.POSTHASTE_SINK_NO_PROXY,
    resolvesNames: config.POSTHASTE_SINK_PROXY_RESOLVES,
  };
  return {
    allowCidrs: config.POSTHASTE_SINK_ALLOW,
    allowHttp: config.POSTHASTE_SINK_HTTP,
    allowOrigins: inboxUrl === undefined ? [] : [inboxUrl],
    connectionsPerOrigin: config.POSTHASTE_SINK_SOCKETS,
    http2: config.POSTHASTE_SINK_HTTP2,
    ...(caFile === undefined ? {} : { caFile }),
    ...(proxyUrl === undefined ? {} : { proxy: { url: proxyUrl, ...proxy } }),
  };
}
