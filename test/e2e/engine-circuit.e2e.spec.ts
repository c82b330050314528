import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { SubscriptionHealthResource } from '#contracts/http/health-resource';
import { eventually } from '#testkit/eventually';
import type { SinkAnswer } from '#testkit/sink-server';
import { startEngineStage, WORKERS, type EngineStage } from './engine-stage.ts';
import { idOf, numbered, withoutRepeats, type Trial } from './engine-trial.ts';

jest.setTimeout(150_000);

let stage: EngineStage;

beforeAll(async () => {
  stage = await startEngineStage();
}, 90_000);

afterAll(() => stage.stop(), 90_000);

type Circuit = SubscriptionHealthResource['circuit'];

/** Resolves when all that is not delivered waits and the circuit is open. */
function opened(trial: Trial): Promise<Extract<Circuit, { state: 'open' | 'half_open' }>> {
  return eventually(async () => {
    const { circuit } = await trial.health();
    return circuit.state === 'open' || circuit.state === 'half_open' ? circuit : undefined;
  });
}

describe('kill -9 worker: all of them at once', () => {
  const QUIET_MS = 10_000;
  const failed = numbered(60);
  const asked = numbered(20);
  const kept = numbered(30);
  const blocking = numbered(6);
  let failing: Trial;
  let throttled: Trial;
  let paused: Trial;
  let blocked: Trial;
  let before: Extract<Circuit, { state: 'open' | 'half_open' }>;
  let quietUntilMs = 0;

  /** Requests that the failing sink had at once after the crash. */
  const probesAtOnce: number[] = [];
  let hasCrashed = false;
  let hasRecovered = false;
  /** When the sink is well again: how many it had at once when so many had been answered. */
  const ramp: { readonly atOnce: number; readonly answered: number }[] = [];

  function answerOfFailing(): SinkAnswer {
    const atOnce = failing.sink.underWay.size;
    if (!hasRecovered) {
      if (hasCrashed) probesAtOnce.push(atOnce);
      return { status: 500 };
    }
    ramp.push({ atOnce, answered: ramp.length + 1 - atOnce });
    return { delayMs: 300 };
  }

  beforeAll(async () => {
    failing = await stage.trial({
      config: { circuit: { consecutiveFailures: 5, firstProbeSeconds: 2, longestProbeSeconds: 2 } },
      respond: answerOfFailing,
    });
    throttled = await stage.trial({
      respond(_, count) {
        if (count > 1) return {};
        quietUntilMs = Math.floor((Date.now() + QUIET_MS) / 1000) * 1000;
        return { status: 429, headers: { 'retry-after': new Date(quietUntilMs).toUTCString() } };
      },
    });
    paused = await stage.trial({ config: { ordering: 'subscription' } });
    blocked = await stage.trial({
      config: { ordering: 'subscription', onDeadLetter: 'block' },
      respond: (received) => ({ status: idOf(received) === '1' ? 400 : 204 }),
    });
    await paused.command('pause');
    await stage.fence();
    await throttled.publish(['first']);
    await opened(throttled);
    await stage.circuitsAreKnown(1);
    await Promise.all([
      failing.publish(failed),
      throttled.publish(asked),
      paused.publishInOrder(kept),
      blocked.publishInOrder(blocking),
    ]);
    await opened(failing);
    await stage.circuitsAreKnown(2);
    // By a probe all has ended that was under way when it opened; other workers may have said the same of it, a little earlier.
    before = await eventually(async () => {
      const circuit = await opened(failing);
      return circuit.failedProbes > 0 && circuit;
    });
    await eventually(async () => (await blocked.state()).state === 'paused');
    await eventually(async () => (await blocked.deadLetters()).length === 1);
    await stage.crash(...WORKERS);
    hasCrashed = true;
  }, 120_000);

  test('leaves a circuit open as it was, with nothing but probes, one at a time', async () => {
    const { circuit } = await failing.health();
    expect(circuit).toMatchObject({ since: before.since, failingSince: before.failingSince, cause: 'failures' });
    const failedProbes = await eventually(async () => {
      const now = (await failing.health()).circuit;
      return 'failedProbes' in now && probesAtOnce.length >= 3 && now.failedProbes;
    });
    // One may be under way.
    expect(probesAtOnce.length).toBeLessThanOrEqual(failedProbes - before.failedProbes + 1);
    expect(Math.max(...probesAtOnce)).toBe(1);
  });

  test('leaves a sink that asked for quiet by a date in peace until then, for the whole subscription (WH-5)', async () => {
    await throttled.arrived(['first', ...asked]);
    const others = throttled.sink.received.slice(1);
    expect(Math.min(...others.map(({ atMs }) => atMs))).toBeGreaterThanOrEqual(quietUntilMs);
    await throttled.leftNoTrace();
  });

  test('leaves paused what is paused, and resume releases it in order', async () => {
    await eventually(async () => {
      // What a killed worker had in its hands is waited for.
      expect(await paused.health()).toMatchObject({ state: 'paused', waiting: kept.length });
      return true;
    });
    expect(paused.ids()).toEqual([]);
    await paused.command('resume');
    await paused.arrived(kept);
    expect(paused.ids()).toEqual(kept);
    await paused.leftNoTrace();
  });

  test('leaves blocked what a dead letter blocks (onDeadLetter), until somebody resumes it', async () => {
    expect((await blocked.state()).stateReason).toMatch(/given up/);
    expect(blocked.ids()).toEqual(['0', '1']);
    expect(await blocked.deadLetters()).toMatchObject([{ reason: 'rejected_by_sink', event: { id: '1' } }]);
    await blocked.command('resume');
    await blocked.arrived(blocking);
    expect(withoutRepeats(blocked.ids())).toEqual(blocking);
    await blocked.leftNoTrace();
  });

  test('endpoint recovers: it is drained with rising concurrency, nothing is lost, and its circuit closes', async () => {
    hasRecovered = true;
    await eventually(async () => (await failing.deliveries('delivered')).length === failed.length, {
      deadlineMs: 60_000,
    });
    for (const { atOnce, answered } of ramp) expect(atOnce).toBeLessThanOrEqual(Math.max(1, answered));
    expect(Math.max(...ramp.map(({ atOnce }) => atOnce))).toBeGreaterThan(4);
    await eventually(async () => (await failing.health()).circuit.state === 'closed');
    await failing.leftNoTrace();
  });
});

describe('410 Gone', () => {
  test('disables the subscription, which says so, and what waits ends with a reason (D9)', async () => {
    const matched = Promise.withResolvers<void>();
    let goneCount = 0;
    const trial: Trial = await stage.trial({
      config: { maxInFlight: 3 },
      async respond(received) {
        await matched.promise;
        if (trial.sink.underWay.has(received)) goneCount++;
        return { status: 410, delayMs: 100 };
      },
    });
    const all = numbered(40);
    await trial.publish(all);
    // What is matched when it is disabled already is nobody's delivery.
    await eventually(async () => (await trial.deliveries()).length === all.length);
    matched.resolve();
    const { stateReason } = await eventually(async () => {
      const now = await trial.state();
      return now.state === 'disabled' ? now : undefined;
    });
    expect(stateReason).toMatch(/410 Gone/);
    const letters = await eventually(async () => {
      const found = await trial.deadLetters();
      return found.length >= all.length ? found : undefined;
    });
    expect(letters).toHaveLength(all.length);
    expect(new Set(letters.map(({ reason }) => reason))).toEqual(new Set(['gone', 'subscription_disabled']));
    expect(letters.filter(({ reason }) => reason === 'gone')).toHaveLength(goneCount);
    await trial.leftNoTrace();
  });
});
