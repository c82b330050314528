import { describe, expect, test } from '@jest/globals';
import { HealthChecks } from './health.ts';

describe('readiness', () => {
  test('it is true when every check passes', async () => {
    const health = new HealthChecks();
    health.add({ name: 'nats', check: () => undefined });
    expect(await health.readiness()).toEqual({ ready: true, checks: { nats: 'ok' } });
  });

  test('it is false while one check fails, and says why', async () => {
    const health = new HealthChecks();
    health.add({ name: 'nats', check: () => undefined });
    health.add({ name: 'postgres', check: () => Promise.reject(new Error('connection refused')) });
    expect(await health.readiness()).toEqual({ ready: false, checks: { nats: 'ok', postgres: 'connection refused' } });
  });

  test('it stays true when only an optional check fails, and still says what is wrong', async () => {
    const health = new HealthChecks(['projector']);
    health.add({ name: 'projector', check: () => Promise.reject(new Error('postgres is away')) });
    expect(await health.readiness()).toEqual({ ready: true, checks: { projector: 'postgres is away' } });
  });

  test('it is false from the moment the service begins to stop', async () => {
    const health = new HealthChecks();
    health.beginShutdown();
    expect(await health.readiness()).toMatchObject({ ready: false });
  });
});
