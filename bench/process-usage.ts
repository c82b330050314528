import { readdirSync, readFileSync } from 'node:fs';

/** What processes have used so far. */
export interface Usage {
  /** By name, CPU milliseconds: user and system, of the process and of its children, also those that ended. */
  readonly cpuMs: Readonly<Record<string, number>>;
  /** By name, MiB at the highest. Of PostgreSQL: private memory of all processes and the shared memory once. */
  readonly peakMiB: Readonly<Record<string, number>>;
  /** CPU milliseconds of the whole machine that were not idle, whoever used them. */
  readonly machineBusyMs: number;
  readonly atMs: number;
}

/** `getconf CLK_TCK` on every Linux that Node runs on. */
const TICK_MS = 10;

/** Reads /proc, so Linux only. */
export function readUsage(pids: Readonly<Record<string, number>>): Usage {
  const children = childrenByParent();
  const entries = Object.entries(pids);
  return {
    cpuMs: Object.fromEntries(entries.map(([name, pid]) => [name, treeCpuMs(pid, children)])),
    peakMiB: Object.fromEntries(entries.map(([name, pid]) => [name, treeMiB(treeOf(pid, children), 'VmHWM')])),
    machineBusyMs: machineBusyMs(),
    atMs: performance.now(),
  };
}

/** Of the first line of /proc/stat: user, nice, system, irq, softirq. */
function machineBusyMs(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/ +/).map(Number) ?? [];
  return [1, 2, 3, 6, 7].reduce((sum, field) => sum + (fields[field] ?? 0) * TICK_MS, 0);
}

/** The peaks are those of `after`; `atMs` is the time between. */
export function usedBetween(before: Usage, after: Usage): Usage {
  const cpuMs = Object.entries(after.cpuMs).map(([name, ms]) => [name, ms - (before.cpuMs[name] ?? 0)]);
  return {
    ...after,
    cpuMs: Object.fromEntries(cpuMs) as Record<string, number>,
    machineBusyMs: after.machineBusyMs - before.machineBusyMs,
    atMs: after.atMs - before.atMs,
  };
}

interface Stat {
  readonly parent: number;
  readonly cpuMs: number;
  readonly endedChildrenMs: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Behind the name in parentheses, which may hold blanks: state is field 3.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const field = (number: number) => Number(fields[number - 3]);
    return {
      parent: field(4),
      cpuMs: (field(14) + field(15)) * TICK_MS,
      endedChildrenMs: (field(16) + field(17)) * TICK_MS,
    };
  } catch {
    return undefined;
  }
}

function childrenByParent(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined) children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(name)]);
  }
  return children;
}

function treeOf(pid: number, children: ReadonlyMap<number, readonly number[]>): number[] {
  return [pid, ...(children.get(pid) ?? []).flatMap((child) => treeOf(child, children))];
}

function treeCpuMs(pid: number, children: ReadonlyMap<number, readonly number[]>): number {
  return treeOf(pid, children)
    .map(statOf)
    .reduce((sum, stat) => sum + (stat?.cpuMs ?? 0) + (stat?.endedChildrenMs ?? 0), 0);
}

/** By name, MiB that are resident now; of PostgreSQL as in {@link Usage.peakMiB}. */
export function readResidentMiB(pids: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const children = childrenByParent();
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, treeMiB(treeOf(pid, children), 'VmRSS')]));
}

/** @param field of a process that has no children */
function treeMiB(tree: readonly number[], field: 'VmHWM' | 'VmRSS'): number {
  const [pid = 0] = tree;
  if (tree.length === 1) return memoryMiB(pid, field);
  const anonymous = tree.reduce((sum, one) => sum + memoryMiB(one, 'RssAnon'), 0);
  return anonymous + Math.max(...tree.map((one) => memoryMiB(one, 'RssShmem')));
}

function memoryMiB(pid: number, field: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
