import { BusModule } from '#bus/bus.module';
import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { ProjectorModule } from './projector.module.ts';

const name = 'projector';
await runMain({
  name,
  configSchema,
  env: process.env,
  compose: (config) => ({
    modules: [BusModule.forRoot({ name, config }), ProjectorModule],
  }),
});
