import { runMain } from '#platform/run-main';
import { configSchema } from './config.ts';
import { InboxModule } from './inbox.module.ts';

await runMain({
  name: 'inbox',
  configSchema,
  env: process.env,
  compose: () => ({ maxBodyBytes: 16 * 1024 * 1024, modules: [InboxModule] }),
});
