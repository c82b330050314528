import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { AuthorizationError } from '@nats-io/nats-core';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { silentLogger } from '#testkit/test-bus';
import { CredentialsRefused } from './bus-errors.ts';
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

describe('a server that wants a password', () => {
  let scratch: string;
  let accountsFile: string;
  let guarded: TestNats;

  const demand = (password: string) => writeFile(accountsFile, `authorization { user: one, password: ${password} }\n`);
  const serverFor = (password: string) => guarded.url.replace('//', `//one:${password}@`);

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'posthaste-accounts-'));
    accountsFile = join(scratch, 'accounts.conf');
    await demand('first');
    guarded = await startNats({ accountsFile });
  });

  afterEach(async () => {
    await guarded.stop();
    await rm(scratch, { recursive: true });
  });

  test('and gets another ends the start, which says what to look at and not what was given', async () => {
    const connecting = connectBus({ servers: serverFor('hunter2'), name: 'test', logger: silentLogger });
    await expect(connecting).rejects.toThrow(CredentialsRefused);
    const error = (await connecting.catch((one: unknown) => one)) as Error;
    expect(error.message).toContain('POSTHASTE_NATS_URL');
    expect(error.message).toContain(`127.0.0.1:${guarded.port}`);
    expect(error.message).not.toContain('hunter2');
  });

  test('and refuses it for a while is away and no more, and the log says so once', async () => {
    const errors: unknown[] = [];
    const logger = { ...silentLogger, error: ({ err }: { err?: unknown }): void => void errors.push(err) };
    const one = await connectBus({ servers: serverFor('first'), name: 'test', logger });
    let refusedCount = 0;
    void (async () => {
      for await (const status of one.nc.status()) if (status.type === 'error') refusedCount++;
    })();
    for (const other of ['second', 'third']) {
      const before = refusedCount;
      await guarded.halt();
      await demand(other);
      await guarded.restart();
      await eventually(() => refusedCount >= before + 4 || one.nc.isClosed());
      expect(one.isConnected()).toBe(false);
      await guarded.halt();
      await demand('first');
      await guarded.restart();
      await eventually(() => one.isConnected());
    }
    expect(errors.filter((error) => error instanceof AuthorizationError)).toHaveLength(2);
    await one.close();
  });
});
