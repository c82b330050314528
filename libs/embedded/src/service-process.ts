import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChildExit } from './nats-server.ts';

export interface ServiceProcessOptions {
  /** `gateway`, `delivery-2`: what messages call it. */
  readonly name: string;
  /** The compiled main, for example `dist/apps/gateway/src/main.js`. */
  readonly script: string;
  readonly args?: readonly string[];
  /** The whole environment of the process. POSTHASTE_HTTP_HOST and a non-zero POSTHASTE_HTTP_PORT say where it answers. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Receives what it writes, line by line. Default: only the last lines are kept. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** Default 30 s. */
  readonly readyTimeoutMs?: number;
}

export interface ServiceProcess {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  /** The last lines that it wrote, standard output and standard error together. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after the deadline (default 40 s: longer than a service takes to drain). */
  stop(deadlineMs?: number): Promise<ChildExit>;
}

/** A service did not get ready. One line: what it said last. */
export class ServiceProcessFailed extends Error {
  readonly code = 'embedded.service_process_failed';
}

const KEPT_LINES = 200;
const STOP_DEADLINE_MS = 40_000;

/**
 * Starts one service as a process of its own and waits until its `/readyz` answers 200.
 *
 * It is in a process group of its own, so that Ctrl-C in a terminal reaches only us and we stop the services in order.
 *
 * @throws ServiceProcessFailed when it exits or is not ready in time; it is gone then
 */
export async function startServiceProcess(options: ServiceProcessOptions): Promise<ServiceProcess> {
  const { name, script, args = [], env, readyTimeoutMs = 30_000 } = options;
  const child = spawn(process.execPath, ['--enable-source-maps', script, ...args], {
    env: { ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = keepLines(child, options.onLine);
  const exited = exitOf(child);
  const url = `http://${hostOf(env)}:${env['POSTHASTE_HTTP_PORT'] ?? '8080'}`;
  const ready = await untilReady(child, `${url}/readyz`, performance.now() + readyTimeoutMs);
  if (ready !== 'ready' || child.pid === undefined) {
    child.kill('SIGKILL');
    await exited;
    throw new ServiceProcessFailed(`${name} did not start: ${ready ?? lines.at(-1) ?? 'it ended without a word'}`);
  }
  return {
    name,
    url,
    pid: child.pid,
    exited,
    output: () => lines.join('\n'),
    kill: (signal) => child.kill(signal),
    stop: (deadlineMs = STOP_DEADLINE_MS) => stop(child, exited, deadlineMs),
  };
}

/** Where the process answers to us, who are on the same machine. */
function hostOf(env: Readonly<Record<string, string | undefined>>): string {
  const host = env['POSTHASTE_HTTP_HOST'] || '127.0.0.1';
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function keepLines(child: ChildProcess, onLine: ServiceProcessOptions['onLine']): string[] {
  const lines: string[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    let rest = '';
    child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
      const complete = (rest + chunk).split('\n');
      rest = complete.pop() ?? '';
      for (const line of complete) {
        if (lines.push(line) > KEPT_LINES) lines.shift();
        onLine?.(line, stream);
      }
    });
  }
  return lines;
}

/** Resolves when the streams are closed too, so that the last line is there. */
function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal });
    });
    child.once('error', () => {
      resolve({ code: null, signal: null });
    });
  });
}

/** `ready`, or why not; undefined when the process has ended, which then has said why itself. */
async function untilReady(child: ChildProcess, url: string, endMs: number): Promise<string | undefined> {
  let last = 'it did not answer in time';
  while (performance.now() < endMs) {
    if (child.exitCode !== null || child.signalCode !== null) return undefined;
    const answer = await fetch(url, { signal: AbortSignal.timeout(3000) }).catch(() => undefined);
    const text = await answer?.text().catch(() => '');
    if (answer?.ok === true) return 'ready';
    if (text !== undefined) last = `it is not ready: ${text}`;
    await delay(50);
  }
  return last;
}

async function stop(child: ChildProcess, exited: Promise<ChildExit>, deadlineMs: number): Promise<ChildExit> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const exit = await exited;
  clearTimeout(timer);
  return exit;
}
