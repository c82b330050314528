import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** A part of the benchmark in a process of its own, so that its work does not count as the service's. */
export interface Child {
  readonly pid: number;
  /** Sends a message and answers with the next one that comes back. */
  ask<Answer>(message: object): Promise<Answer>;
  stop(): Promise<void>;
}

/** Starts `bench/<name>.js` and waits for its first message, which it gives back as well. */
export async function startChild<Hello>(name: string, setup: object): Promise<{ child: Child; hello: Hello }> {
  const child = fork(new URL(`./${name}.js`, import.meta.url), { serialization: 'advanced' });
  const hello = await ask<Hello>(child, setup);
  return {
    hello,
    child: {
      pid: child.pid ?? 0,
      ask: (message) => ask(child, message),
      async stop() {
        if (child.exitCode !== null) return;
        child.kill();
        await once(child, 'exit');
      },
    },
  };
}

function ask<Answer>(child: ChildProcess, message: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => {
      reject(new Error(`a process of the benchmark ended with ${code}`));
    };
    child.once('exit', onExit);
    child.once('message', (answer) => {
      child.off('exit', onExit);
      resolve(answer as Answer);
    });
    child.send(message);
  });
}

/** The other side: every message of the parent is answered once. */
export function answerParent(answer: (message: never) => unknown): void {
  process.on('message', (message) => {
    void Promise.resolve(answer(message as never)).then((reply) => process.send?.(reply ?? {}));
  });
  process.on('disconnect', () => process.exit(0));
}
