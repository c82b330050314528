import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTestAuthority, type TestAuthority } from '#testkit/certificates';
import { startChild, type Child } from './child.ts';
import type { SinkAnswer, SinkSetup } from './sink.ts';

export interface BenchSink {
  /** In the order of the answers. */
  readonly urls: readonly string[];
  /** Unset: http. */
  readonly caFile: string | undefined;
  readonly child: Child;
  stop(): Promise<void>;
}

const AT_ONCE: SinkAnswer = { kind: 'accept', afterMs: 0 };
/** Of addresses, one for each process of sinks. */
let blocks = 0;

/**
 * Sinks in a process of their own, each with an address of its own (Linux has all of 127/8 on its loopback interface).
 * Default: one that accepts at once.
 */
export async function startBenchSink(
  tls: boolean,
  answers: readonly SinkAnswer[] = [AT_ONCE],
  authority?: TestAuthority,
): Promise<BenchSink> {
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-bench-'));
  const caFile = join(directory, 'ca.pem');
  const { certPem, issue } = authority ?? (await makeTestAuthority());
  await writeFile(caFile, certPem);
  const block = ++blocks;
  const sinks = answers.map((answer, i): SinkSetup => ({ host: `127.0.${block}.${i + 1}`, answer }));
  const certificate = tls ? await issue({ hosts: sinks.map(({ host }) => host) }) : {};
  const { child, hello } = await startChild<{ urls: string[] }>('sink', { kind: 'start', ...certificate, sinks });
  return {
    urls: hello.urls,
    caFile: tls ? caFile : undefined,
    child,
    async stop() {
      await Promise.all([child.stop(), rm(directory, { recursive: true, force: true })]);
    },
  };
}
