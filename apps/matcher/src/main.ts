import { BusModule } from '#bus/bus.module';
import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { MatcherModule } from './matcher.module.ts';

const name = 'matcher';
await runMain({
  name,
  configSchema,
  env: process.env,
  compose: (config) => ({
    modules: [BusModule.forRoot({ name, config, laneStates: true }), MatcherModule],
  }),
});
