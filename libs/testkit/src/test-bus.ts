import { randomBytes } from 'node:crypto';
import { connectBus, type Bus } from '#bus/connection';
import { ensureTopology } from '#bus/ensure-topology';
import type { TopologyOptions } from '#bus/topology';

/** Says nothing below an error; tests that look at the log give their own. */
export const silentLogger = {
  debug: (): void => undefined,
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (): void => undefined,
};

export interface TestBus extends Bus {
  readonly deployment: string;
  /** Another connection to the same deployment, as another process would have. Closed with this one. */
  another(): Promise<Bus>;
}

export interface TestBusOptions {
  readonly topology?: Partial<TopologyOptions>;
  /** Default true: the streams and consumers are there. */
  readonly ensure?: boolean;
}

/** A bus with a deployment of its own, so that tests which share a server do not meet. `close` ends its other connections too. */
export async function makeTestBus(
  servers: string,
  { topology = {}, ensure = true }: TestBusOptions = {},
): Promise<TestBus> {
  const deployment = `t${randomBytes(6).toString('hex')}`;
  const open = (name: string): Promise<Bus> =>
    connectBus({ servers, name, deployment, topology, logger: silentLogger });
  const bus = await open('test');
  if (ensure) await ensureTopology(bus);
  const others: Bus[] = [];
  return {
    ...bus,
    deployment,
    async another() {
      const other = await open('test-other');
      others.push(other);
      return other;
    },
    async close() {
      await Promise.all([...others, bus].map((each) => each.close()));
    },
  };
}
