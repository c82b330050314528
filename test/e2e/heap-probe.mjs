// Loaded into a service before its own code (`--import`). At SIGUSR2 it writes what JavaScript has in memory there into the
// directory of `?to=`: `heap.heapsnapshot`, which has the strings, `buffers`, which has the bytes, and then `done`.
// No TypeScript: what takes its types away would be in the memory of the service as well.
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { isAnyArrayBuffer } from 'node:util/types';
import { setFlagsFromString, writeHeapSnapshot } from 'node:v8';

const directory = new URL(import.meta.url).searchParams.get('to');

// By default a snapshot cuts every string after 1024 characters. NODE_OPTIONS does not take this option.
setFlagsFromString('--heap-snapshot-string-limit=33554432');

process.on('SIGUSR2', () => {
  writeHeapSnapshot(join(directory, 'heap.heapsnapshot'));
  const file = openSync(join(directory, 'buffers'), 'w', 0o600);
  for (const buffer of liveBuffers()) writeSync(file, new Uint8Array(buffer));
  closeSync(file);
  writeFileSync(join(directory, 'done'), '');
});

/** Kept, so that there is something in the buffers of every process that has to be found. */
globalThis.planted = Buffer.from(directory);

/** What a snapshot leaves out: the contents of all buffers that can still be reached. */
function liveBuffers() {
  const buffers = new Set();
  globalThis.noteBuffer = (one) => {
    if (ArrayBuffer.isView(one)) buffers.add(one.buffer);
    else if (isAnyArrayBuffer(one)) buffers.add(one);
  };
  const session = new Session();
  session.connect();
  // All objects at once: for each question V8 collects garbage until there is none.
  const { objectId: prototypeObjectId } = ask(session, 'Runtime.evaluate', { expression: 'Object.prototype' }).result;
  const { objectId } = ask(session, 'Runtime.queryObjects', { prototypeObjectId }).objects;
  const functionDeclaration = 'function () { for (const one of this) noteBuffer(one); }';
  ask(session, 'Runtime.callFunctionOn', { objectId, functionDeclaration });
  session.disconnect();
  delete globalThis.noteBuffer;
  return buffers;
}

/** A session within one thread answers before `post` returns. */
function ask(session, method, parameters) {
  let answer;
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw error;
    answer = result;
  });
  return answer;
}
