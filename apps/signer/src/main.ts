import { BusModule } from '#bus/bus.module';
import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { SignerModule } from './signer.module.ts';

const name = 'signer';
await runMain({
  name,
  configSchema,
  env: process.env,
  compose: (config) => ({
    modules: [BusModule.forRoot({ name, config }), SignerModule],
  }),
});
