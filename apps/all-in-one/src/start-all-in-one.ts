import { BusModule } from '#bus/bus.module';
import { freePort } from '#embedded/free-port';
import { startService, type RunningService } from '#platform/bootstrap';
import type { Logger } from '#platform/logger';
import { DeliveryModule } from '../../delivery/src/delivery.module.ts';
import { GatewayModule } from '../../gateway/src/gateway.module.ts';
import { JanitorModule } from '../../janitor/src/janitor.module.ts';
import { MatcherModule } from '../../matcher/src/matcher.module.ts';
import { ProjectorModule } from '../../projector/src/projector.module.ts';
import { RegistryModule } from '../../registry/src/registry.module.ts';
import { SignerModule } from '../../signer/src/signer.module.ts';
import { announce, welcomeOf } from './announce.ts';
import type { AllInOneConfig } from './config.ts';
import { InboxModule } from './inbox/inbox.module.ts';
import { openInstallation, type Installation } from './installation.ts';
import { localUrl, servicesConfig, type ServicesConfig } from './services-config.ts';

const NAME = 'all-in-one';

export interface StartOptions {
  readonly config: AllInOneConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Receives what the terminal shows when everything is up. */
  readonly print: (text: string) => void;
}

/** Starts the servers and every service in this process, and makes the default tenant. */
export async function startAllInOne({ config, env, logger, print }: StartOptions): Promise<RunningService> {
  const startedAtMs = performance.now();
  const host = config.POSTHASTE_HTTP_HOST;
  const httpPort = config.POSTHASTE_HTTP_PORT === 0 ? await freePort(host) : config.POSTHASTE_HTTP_PORT;
  const installation = await openInstallation({ config, env, httpPorts: [httpPort], logger });
  let service: RunningService | undefined;
  try {
    const services = servicesConfig(config, installation, { httpPort, inboxPort: httpPort });
    service = await startServices(services, logger);
    const url = localUrl(host, httpPort);
    const runtime = await announce(installation, services, { httpUrl: url, registryUrl: url });
    const publicUrl = config.POSTHASTE_PUBLIC_URL ?? url;
    const startedInMs = performance.now() - startedAtMs;
    print(welcomeOf(runtime, installation, config, { startedInMs, httpUrl: publicUrl, registryUrl: publicUrl }));
    return stopInOrder(service, installation);
  } catch (error) {
    await service?.stop();
    await installation.close();
    throw error;
  }
}

function startServices(config: ServicesConfig, logger: Logger): Promise<RunningService> {
  return startService({
    name: NAME,
    config,
    logger,
    maxBodyBytes: config.POSTHASTE_PUBLISH_BODY_MAX_BYTES,
    // Events are accepted and delivered while PostgreSQL is away; the read side catches up.
    optionalChecks: ['projector', 'janitor'],
    modules: [
      BusModule.forRoot({ name: NAME, config, laneStates: true }),
      SignerModule,
      RegistryModule,
      GatewayModule,
      MatcherModule,
      DeliveryModule,
      ProjectorModule,
      JanitorModule,
      InboxModule,
    ],
  });
}

/** The services drain while the servers that they need are still there. */
function stopInOrder(service: RunningService, installation: Installation): RunningService {
  return {
    ...service,
    async stop() {
      await service.stop();
      await installation.close();
    },
  };
}
