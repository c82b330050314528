import { describe, expect, test } from '@jest/globals';
import { handleOnce, type IdempotencyStore } from './handle-once.ts';
import { makeMemoryStore } from './memory-store.ts';

/** A store that writes down what it is asked, in order with the work. */
function aRecordedStore(broken: Partial<IdempotencyStore> = {}) {
  const log: string[] = [];
  const inner = makeMemoryStore();
  const store: IdempotencyStore = {
    claim: (...given) => {
      log.push('claim');
      return (broken.claim ?? inner.claim)(...given);
    },
    complete: (...given) => {
      log.push('complete');
      return (broken.complete ?? inner.complete)(...given);
    },
    release: (...given) => {
      log.push('release');
      return (broken.release ?? inner.release)(...given);
    },
  };
  const work = () => {
    log.push('work');
    return Promise.resolve();
  };
  return { store, log, work };
}

const down = () => Promise.reject(new Error('the store is down'));

describe('handleOnce', () => {
  test('says 2xx only after the work is done and recorded', async () => {
    const { store, log, work } = aRecordedStore();
    expect(await handleOnce({ store, id: 'a' }, work)).toEqual({ outcome: 'handled', status: 204 });
    expect(log).toEqual(['claim', 'work', 'complete']);
  });

  test('does not work twice, and says 2xx to the duplicate (SW-5)', async () => {
    const { store, log, work } = aRecordedStore();
    await handleOnce({ store, id: 'a' }, work);
    expect(await handleOnce({ store, id: 'a' }, work)).toEqual({ outcome: 'duplicate', status: 204 });
    expect(log.filter((one) => one === 'work')).toHaveLength(1);
    expect(await handleOnce({ store, id: 'b' }, work)).toMatchObject({ outcome: 'handled' });
  });

  test('sends a second request away while the first is at it, for it may still fail', async () => {
    const store = makeMemoryStore();
    let fail: (error: Error) => void = () => undefined;
    const first = handleOnce({ store, id: 'a' }, () => new Promise((_, reject) => (fail = reject)));
    const second = await handleOnce({ store, id: 'a' }, () => Promise.resolve());
    expect(second).toEqual({ outcome: 'in_progress', status: 503, retryAfterSeconds: 5 });
    fail(new Error('disk full'));
    expect(await first).toMatchObject({ outcome: 'failed', status: 500, error: { message: 'disk full' } });
    expect(await handleOnce({ store, id: 'a' }, () => Promise.resolve())).toMatchObject({ outcome: 'handled' });
  });

  test('is not 2xx when the store is down, before the work or after it', async () => {
    const before = aRecordedStore({ claim: down });
    expect(await handleOnce({ store: before.store, id: 'a' }, before.work)).toMatchObject({ status: 500 });
    expect(before.log).toEqual(['claim']);
    const after = aRecordedStore({ complete: down });
    expect(await handleOnce({ store: after.store, id: 'a' }, after.work)).toMatchObject({ status: 500 });
    expect(after.log).toEqual(['claim', 'work', 'complete']);
  });

  test('tells what went wrong with the work, also when giving the claim back fails', async () => {
    const { store } = aRecordedStore({ release: down });
    const failing = () => Promise.reject(new Error('disk full'));
    expect(await handleOnce({ store, id: 'a' }, failing)).toMatchObject({
      status: 500,
      error: { message: 'disk full' },
    });
  });

  test('is not 2xx when the work took longer than its lease: somebody else may be at it', async () => {
    let nowMs = 0;
    const store = makeMemoryStore({ now: () => nowMs });
    const slow = handleOnce({ store, id: 'a', leaseMs: 100 }, async () => {
      nowMs = 101;
      expect(await handleOnce({ store, id: 'a' }, () => Promise.resolve())).toMatchObject({ outcome: 'handled' });
    });
    expect(await slow).toMatchObject({ outcome: 'failed', error: { message: expect.stringContaining('100 ms') } });
    expect(await handleOnce({ store, id: 'a' }, down)).toMatchObject({ outcome: 'duplicate' });
  });
});

describe('the memory store', () => {
  test('forgets the oldest first, and what is old', async () => {
    let nowMs = 0;
    const store = makeMemoryStore({ maxEntries: 2, retentionMs: 1000, now: () => nowMs });
    for (const id of ['a', 'b', 'c']) await handleOnce({ store, id }, () => Promise.resolve());
    expect((await store.claim('a', 1)).state).toBe('claimed');
    expect((await store.claim('c', 1)).state).toBe('completed');
    nowMs = 1000;
    expect((await store.claim('c', 1)).state).toBe('claimed');
  });
});
