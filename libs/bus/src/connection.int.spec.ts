import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { silentLogger } from '#testkit/test-bus';
import { connectBus, type Bus } from './connection.ts';

let nats: TestNats;
let bus: Bus;
let errorCount = 0;

beforeAll(async () => {
  nats = await startNats();
  const logger = { ...silentLogger, error: (): void => void errorCount++ };
  bus = await connectBus({ servers: nats.url, name: 'test', logger });
});

afterAll(async () => {
  await bus.close();
  await nats.stop();
});

async function crash(): Promise<void> {
  await nats.kill();
  await eventually(() => !bus.isConnected());
  await nats.restart();
}

describe('after a reconnect', () => {
  test('a listener that throws ends neither the others nor the next reconnect', async () => {
    let callCount = 0;
    bus.onReconnect(() => {
      throw new Error('on purpose');
    });
    bus.onReconnect(() => void callCount++);
    await crash();
    await eventually(() => callCount === 1);
    await crash();
    await eventually(() => callCount === 2);
    expect(bus.isConnected()).toBe(true);
    expect(errorCount).toBeGreaterThanOrEqual(2);
  });
});
