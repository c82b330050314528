/** One thing that a service needs to do its work. `check` throws, with a sentence for the operator, when it is missing. */
export interface HealthCheck {
  readonly name: string;
  check(): void | Promise<void>;
}

/** Longest wait for one check; a check that hangs is a check that fails. */
const CHECK_TIMEOUT_MS = 2000;

export interface Readiness {
  readonly ready: boolean;
  /** Name of each check: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

/** The checks of a process, added by whoever owns the thing that is checked. */
export class HealthChecks {
  readonly #checks: HealthCheck[] = [];
  readonly #optional: ReadonlySet<string>;
  #stopping = false;

  /** @param optional names of checks that are shown but do not make the process unready */
  constructor(optional: readonly string[] = []) {
    this.#optional = new Set(optional);
  }

  add(check: HealthCheck): void {
    this.#checks.push(check);
  }

  /** From now on not ready: a load balancer should look elsewhere while the process drains. */
  beginShutdown(): void {
    this.#stopping = true;
  }

  async readiness(): Promise<Readiness> {
    const results = await Promise.all(this.#checks.map(async (check) => [check.name, await runCheck(check)] as const));
    if (this.#stopping) results.push(['shutdown', 'the service is stopping']);
    const ready = results.every(([name, result]) => result === 'ok' || this.#optional.has(name));
    return { ready, checks: Object.fromEntries(results) };
  }
}

async function runCheck(check: HealthCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`);
    }, CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(check.check()).then(() => 'ok'), timeout]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
