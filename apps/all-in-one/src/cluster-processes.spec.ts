import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '#platform/config';
import {
  planProcesses,
  processOptions,
  STOP_STAGES,
  type ClusterProcess,
  type ServiceName,
} from './cluster-processes.ts';
import { clusterConfigSchema } from './config.ts';
import type { ServicesConfig } from './services-config.ts';

const config = loadConfig(clusterConfigSchema, { POSTHASTE_CLUSTER_DELIVERY: '3', POSTHASTE_CLUSTER_MATCHER: '1' });

const services: ServicesConfig = {
  ...config,
  POSTHASTE_DATA_DIR: '/data',
  POSTHASTE_ADMIN_TOKEN: 'an admin token of a test',
  POSTHASTE_MASTER_KEY: 'master',
  POSTHASTE_NATS_URL: 'nats://n',
  POSTHASTE_DATABASE_URL: 'postgresql://p',
  POSTHASTE_INBOX_URL: 'http://i/inbox',
  POSTHASTE_INBOX_KEY: 'inbox key',
  POSTHASTE_PUBLIC_URL: 'http://g',
};

const ENV = { PATH: '/bin', POSTHASTE_SINK_HTTP: 'true', POSTHASTE_MASTER_KEY: 'old', POSTHASTE_MATCHER_BATCH: '7' };

function planned(): Promise<ClusterProcess[]> {
  return planProcesses(config, { gateway: 1, registry: 2, inbox: 3 });
}

describe('the processes of a cluster', () => {
  test('are one of each service, and as many as asked for of those of which there can be several', async () => {
    const plan = await planned();
    expect(plan.map(({ name }) => name)).toEqual([
      'gateway',
      'registry',
      'matcher',
      'delivery-1',
      'delivery-2',
      'delivery-3',
      'signer',
      'projector',
      'janitor',
      'inbox',
    ]);
    expect(plan.filter(({ port }) => port < 4).map(({ name }) => name)).toEqual(['gateway', 'registry', 'inbox']);
    expect(new Set(plan.map(({ port }) => port)).size).toBe(plan.length);
  });

  test('all stop in some stage', async () => {
    const stages = STOP_STAGES.flat();
    expect([...stages].sort()).toEqual([...new Set((await planned()).map(({ service }) => service))].sort());
  });

  test('get the variables of their own schema only: the master key goes to the signer and nowhere else', async () => {
    const given = new Map<ServiceName, Readonly<Record<string, string | undefined>>>();
    for (const plan of await planned()) given.set(plan.service, processOptions(plan, services, ENV).env);
    const holders = (name: string): string[] => [...given].filter(([, env]) => env[name] !== undefined).map(([s]) => s);
    expect(holders('POSTHASTE_MASTER_KEY')).toEqual(['signer']);
    expect(given.get('signer')).toMatchObject({ POSTHASTE_MASTER_KEY: 'master', PATH: '/bin' });
    expect(holders('POSTHASTE_INBOX_KEY')).toEqual(['inbox']);
    expect(holders('POSTHASTE_MATCHER_BATCH')).toEqual(['matcher']);
    expect(holders('POSTHASTE_DATABASE_URL')).not.toContain('delivery');
    expect(holders('PATH')).toHaveLength(given.size);
  });
});
