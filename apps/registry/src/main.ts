import { BusModule } from '#bus/bus.module';
import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { RegistryModule } from './registry.module.ts';

const name = 'registry';
await runMain({
  name,
  configSchema,
  env: process.env,
  compose: (config) => ({
    modules: [BusModule.forRoot({ name, config }), RegistryModule],
  }),
});
