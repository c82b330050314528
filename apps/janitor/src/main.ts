import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { JanitorModule } from './janitor.module.ts';

await runMain({ name: 'janitor', configSchema, env: process.env, compose: () => ({ modules: [JanitorModule] }) });
