import { BusModule } from '#bus/bus.module';
import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { GatewayModule } from './gateway.module.ts';

const name = 'gateway';
await runMain({
  name,
  configSchema,
  env: process.env,
  compose: (config) => ({
    maxBodyBytes: config.POSTHASTE_PUBLISH_BODY_MAX_BYTES,
    modules: [BusModule.forRoot({ name, config }), GatewayModule],
  }),
});
