import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '#testkit/eventually';
import type { SpawnedService } from '#testkit/processes';
import { pathTo, type HeapSnapshot } from './heap-path.ts';

/** What the JavaScript of a process has in memory and can still reach. */
export interface HeapDump {
  /** All strings, one a line. Those that V8 keeps in pieces (`a + b`) are there by their pieces. */
  readonly strings: string;
  /** The contents of all buffers. Of those that share their memory, as small ones of Node do, also what nobody uses any more. */
  readonly bytes: Buffer;
  /** What the probe has put into a buffer. */
  readonly planted: string;
  /** Who holds the string with this text, for a failure message. */
  holderOf(text: string): string;
}

const DEADLINE_MS = 60_000;

/** Node options of a service whose heap is going to be dumped into a directory of its name below this one. */
export function probeOptions(directory: string, name: string): string {
  const probe = new URL('./heap-probe.mjs', import.meta.url);
  probe.searchParams.set('to', join(directory, name));
  return `--import=${probe.href}`;
}

/** Dumps the heap of a service, and removes the dump when it has been looked at: it is full of secrets. */
export async function withHeapDump<T>(
  directory: string,
  service: SpawnedService,
  look: (dump: HeapDump) => T,
): Promise<T> {
  const place = join(directory, service.name);
  await mkdir(place, { mode: 0o700 });
  try {
    service.kill('SIGUSR2');
    await eventually(() => access(join(place, 'done')).then(() => true), { deadlineMs: DEADLINE_MS });
    const snapshot = await readFile(join(place, 'heap.heapsnapshot'));
    return look({
      strings: stringsOf(snapshot).join('\n'),
      bytes: await readFile(join(place, 'buffers')),
      planted: place,
      holderOf: (text) => pathTo(JSON.parse(snapshot.toString()) as HeapSnapshot, text),
    });
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** The table of strings is the last one, and a tenth of the whole. */
function stringsOf(snapshot: Buffer): readonly string[] {
  const at = snapshot.lastIndexOf('"strings":[');
  return (JSON.parse(`{${snapshot.toString('utf8', at)}`) as Pick<HeapSnapshot, 'strings'>).strings;
}
