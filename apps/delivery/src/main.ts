import { BusModule } from '#bus/bus.module';
import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { DeliveryModule } from './delivery.module.ts';

const name = 'delivery';
await runMain({
  name,
  configSchema,
  env: process.env,
  compose: (config) => ({
    modules: [BusModule.forRoot({ name, config }), DeliveryModule],
  }),
});
