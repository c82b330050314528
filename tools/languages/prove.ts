import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '#embedded/free-port';
import { deliveriesOf, secretOf, type Capture } from './deliveries.ts';
import type { Example } from './examples.ts';
import { exchange, feed } from './feed.ts';
import type { Toolchain } from './toolchains.ts';

const run = promisify(execFile);

const HARNESS = join(import.meta.dirname, 'harness');
const COMMAND_TIMEOUT_MS = 10 * 60_000;
const START_TIMEOUT_MS = 60_000;

/** What became of one language. `missing`: a program is not here, or too old. */
export interface Verdict {
  readonly result: 'passed' | 'failed' | 'missing';
  readonly detail: string;
}

export interface Trial {
  readonly example: Example;
  readonly toolchain: Toolchain;
  readonly captures: readonly Capture[];
}

/** Builds the example in a folder of its own, serves it, and sends it what the captures make. */
export async function prove(trial: Trial): Promise<Verdict> {
  const { found, lacking } = await look(trial.toolchain);
  if (lacking.length > 0) return { result: 'missing', detail: lacking.join(', ') };
  const folder = await mkdtemp(join(tmpdir(), 'posthaste-language-'));
  try {
    await prepare(trial, folder);
    const { problems, deliveryCount } = await serveAndFeed(trial, folder);
    if (problems.length > 0) return { result: 'failed', detail: ['', ...problems].join('\n  ') };
    return { result: 'passed', detail: `${deliveryCount} deliveries, ${found.join(', ')}` };
  } catch (error) {
    return { result: 'failed', detail: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The programs that are here with their versions, and what is not as needed. */
async function look({ needs }: Toolchain): Promise<{ found: string[]; lacking: string[] }> {
  const [found, lacking]: [string[], string[]] = [[], []];
  for (const { program, args = ['--version'], atLeast = [0, 0] } of needs) {
    const said = await run(program, args, { timeout: COMMAND_TIMEOUT_MS }).then(
      ({ stdout, stderr }) => stdout || stderr,
      () => '',
    );
    const version = /\d+\.\d+(?:\.\d+)*/.exec(said)?.[0];
    const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
    if (version === undefined) lacking.push(program);
    else if (major < atLeast[0] || (major === atLeast[0] && minor < atLeast[1])) {
      lacking.push(`${program} ${atLeast.join('.')} or newer (this is ${version})`);
    } else found.push(`${program} ${version}`);
  }
  return { found, lacking };
}

async function prepare({ example: { code, library }, toolchain }: Trial, folder: string): Promise<void> {
  const { example, harness } = toolchain;
  await Promise.all(harness.map((file) => copyFile(join(HARNESS, file), join(folder, file))));
  await writeFile(join(folder, example.file), `${example.before ?? ''}${code}${example.after ?? ''}`);
  const options = { cwd: folder, env: environment(toolchain, folder), timeout: COMMAND_TIMEOUT_MS };
  for (const [program = '', ...args] of toolchain.prepare(library)) {
    await run(program, args, options).catch((error: { stdout: string; stderr: string; message: string }) => {
      const said = (error.stderr || error.stdout || error.message).trim().split('\n').slice(-12).join('\n  ');
      throw new Error(`${[program, ...args].join(' ')}\n  ${said}`);
    });
  }
}

async function serveAndFeed({ toolchain, captures }: Trial, folder: string) {
  const port = await freePort('127.0.0.1');
  const [program, ...args] = toolchain.serve(port);
  const env = { ...environment(toolchain, folder), PORT: String(port), WEBHOOK_SECRET: secretOf(captures) };
  const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  try {
    await untilServes(port, child);
    const nowSeconds = Math.floor(Date.now() / 1000);
    const deliveries = captures.flatMap((capture) => deliveriesOf(capture, nowSeconds));
    return { problems: await feed(port, deliveries), deliveryCount: deliveries.length };
  } catch (cause) {
    throw new Error(`${program} ${args.join(' ')}: ${String(cause)}\n  ${output.trim().slice(-2000)}`, { cause });
  } finally {
    await end(child);
  }
}

function environment({ env }: Toolchain, folder: string): NodeJS.ProcessEnv {
  return { ...process.env, ...env?.(folder) };
}

async function untilServes(port: number, child: ChildProcess): Promise<void> {
  const hello = Buffer.from('POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  const deadline = Date.now() + START_TIMEOUT_MS;
  while ((await exchange(port, hello).catch(() => '')) === '') {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended');
    if (Date.now() > deadline) throw new Error(`it did not serve in ${START_TIMEOUT_MS / 1000} s`);
    await delay(100);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
