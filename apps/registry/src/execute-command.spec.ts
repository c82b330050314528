import { describe, expect, test } from '@jest/globals';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { TenantId } from '#core/ids';
import { tenantDecider } from '#core/registry/tenant-decider';
import type { Tenant, TenantEvent } from '#core/registry/tenant';
import { tenantAggregate } from './aggregates.ts';
import { makeExecuteCommand, type CommandPorts, type Expected } from './execute-command.ts';

const acme = 'acme' as TenantId;

class WrongSequence extends Error {}

/** REGISTRY with one subject, and processes that fold it only when they catch up. */
function makeLog() {
  const events: TenantEvent[] = [];
  const openProcess = (change: Partial<CommandPorts> = {}) => {
    let seen = 0;
    let state: Tenant | undefined;
    const registry = {
      tenant: () => state,
      apiKey: () => undefined,
      subscription: () => undefined,
    };
    const ports: CommandPorts = {
      registrySubject: (tenant, aggregate, id) => `registry.${tenant}.${aggregate}.${id}`,
      lastSeqOf: () => seen,
      async catchUp() {
        await Promise.resolve();
        for (; seen < events.length; seen++) {
          const event = events[seen];
          if (event) state = tenantDecider.evolve(state, event);
        }
      },
      async append(_subject: string, record: RegistryRecord, { lastSeq }: Expected) {
        await Promise.resolve();
        if (events.length !== lastSeq) throw new WrongSequence();
        if (record.aggregate === 'tenant') events.push(record.event);
      },
      isConflict: (error) => error instanceof WrongSequence,
      now: () => 1,
      ...change,
    };
    const execute = makeExecuteCommand(ports);
    return (name: string) =>
      execute(
        tenantAggregate(registry, acme),
        { by: 'admin', from: '192.0.2.1' },
        () => ({ kind: 'PutTenant', id: acme, name }) as const,
      );
  };
  return { events, openProcess };
}

describe('executing a command', () => {
  test('appends one event and answers with the state after it', async () => {
    const { events, openProcess } = makeLog();
    expect(await openProcess()('Acme')).toMatchObject({
      kind: 'done',
      before: undefined,
      after: { name: 'Acme' },
    });
    expect(events).toHaveLength(1);
  });

  test('appends nothing when nothing changes', async () => {
    const { events, openProcess } = makeLog();
    const put = openProcess();
    await put('Acme');
    expect(await put('Acme')).toMatchObject({ kind: 'done', after: { name: 'Acme' } });
    expect(events).toHaveLength(1);
  });

  test('loses none of 40 commands of two processes that write at once', async () => {
    const { events, openProcess } = makeLog();
    const [one, other] = [openProcess(), openProcess()];
    const names = Array.from({ length: 40 }, (_, i) => `name ${i}`);
    const results = await Promise.all(names.map((name, i) => (i % 2 === 0 ? one : other)(name)));
    expect(results.map((result) => result.kind)).toEqual(names.map(() => 'done'));
    expect(events.map((event) => event.name).sort()).toEqual([...names].sort());
  });

  test('gives up after losing ten times, and writes nothing', async () => {
    const { events, openProcess } = makeLog();
    let tries = 0;
    const put = openProcess({
      append: () => {
        tries++;
        return Promise.reject(new WrongSequence());
      },
    });
    expect(await put('Acme')).toEqual({ kind: 'conflict' });
    expect(tries).toBe(10);
    expect(events).toEqual([]);
  });

  test('passes on a fault of the bus', async () => {
    const { openProcess } = makeLog();
    const put = openProcess({ append: () => Promise.reject(new Error('away')) });
    await expect(put('Acme')).rejects.toThrow('away');
  });

  test('answers that a change was made although the bus goes away right after it', async () => {
    const { events, openProcess } = makeLog();
    let calls = 0;
    const put = openProcess({ catchUp: () => (calls++ === 0 ? Promise.resolve() : Promise.reject(new Error('away'))) });
    expect(await put('Acme')).toMatchObject({ kind: 'done' });
    expect(events).toHaveLength(1);
  });
});
