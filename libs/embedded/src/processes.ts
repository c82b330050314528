import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const POLL_MS = 20;

/**
 * Processes of this machine whose command line (arguments joined by blanks) contains the text, without this process.
 *
 * We look for our children by what they were started with, not by pid files: a file may be missing (killed between fork
 * and write) or name a process id that somebody else has got since.
 */
export async function findProcesses(commandLineIncludes: string): Promise<number[]> {
  const all = await commandLines();
  return all.filter(({ pid, text }) => pid !== process.pid && text.includes(commandLineIncludes)).map(({ pid }) => pid);
}

interface CommandLine {
  readonly pid: number;
  readonly text: string;
}

async function commandLines(): Promise<CommandLine[]> {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((name) => /^\d+$/.test(name)).map(Number);
  if (pids.length === 0) return commandLinesOfPs();
  return Promise.all(pids.map(async (pid) => ({ pid, text: (await commandLineOf(pid)) ?? '' })));
}

/** Where there is no /proc (macOS). */
async function commandLinesOfPs(): Promise<CommandLine[]> {
  const { stdout } = await run('ps', ['-axo', 'pid=,command='], { maxBuffer: 16 * 1024 * 1024 });
  return stdout.split('\n').map((line) => ({ pid: Number.parseInt(line, 10), text: line.trim().replace(/^\d+ /, '') }));
}

/** Empty for a zombie and for a process of the kernel; undefined when there is none. */
async function commandLineOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  return text?.replaceAll('\0', ' ').trim();
}

/**
 * A text that this process has and no later process of the same id; undefined when it does not run (a zombie does not).
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return hasProcFileSystem() ? undefined : identityOfPs(pid);
  // The name in parentheses may hold blanks; state and start time are fields 3 and 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

function hasProcFileSystem(): boolean {
  return process.platform === 'linux';
}

async function identityOfPs(pid: number): Promise<string | undefined> {
  const answer = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => undefined);
  return answer?.stdout.trim() || undefined;
}

/**
 * Signals processes that are nobody's children any more and waits until they are gone; SIGKILL after the deadline.
 *
 * @param deadlineMs default 10 s
 */
export async function stopProcesses(
  pids: readonly number[],
  { signal = 'SIGTERM', deadlineMs = 10_000 }: { signal?: NodeJS.Signals; deadlineMs?: number } = {},
): Promise<void> {
  await Promise.all(pids.map((pid) => stopProcess(pid, signal, deadlineMs)));
}

async function stopProcess(pid: number, signal: NodeJS.Signals, deadlineMs: number): Promise<void> {
  const identity = await processIdentity(pid);
  if (identity === undefined) return;
  const end = performance.now() + deadlineMs;
  sendSignal(pid, signal);
  while ((await processIdentity(pid)) === identity) {
    if (performance.now() > end) sendSignal(pid, 'SIGKILL');
    await delay(POLL_MS);
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ESRCH') throw error;
  }
}
