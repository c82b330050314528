import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTestAuthority } from '#testkit/certificates';
import { startChild, type Child } from './child.ts';

export interface BenchSink {
  readonly url: string;
  /** Unset: http. */
  readonly caFile: string | undefined;
  readonly child: Child;
  stop(): Promise<void>;
}

export async function startBenchSink(tls: boolean): Promise<BenchSink> {
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-bench-'));
  const caFile = join(directory, 'ca.pem');
  const authority = await makeTestAuthority();
  await writeFile(caFile, authority.certPem);
  const certificate = tls ? await authority.issue() : {};
  const { child, hello } = await startChild<{ url: string }>('sink', { kind: 'start', ...certificate });
  return {
    url: hello.url,
    caFile: tls ? caFile : undefined,
    child,
    async stop() {
      await Promise.all([child.stop(), rm(directory, { recursive: true, force: true })]);
    },
  };
}
