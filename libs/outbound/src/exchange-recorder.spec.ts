import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Exchange } from '#core/delivery/outcome';
import { ExchangeRecorder } from './exchange-recorder.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** A request that may take five minutes, and gets a connection after a while. */
function aRequestStarted(afterMs: number) {
  const exchanges: Exchange[] = [];
  const abort = jest.fn();
  const recorder = new ExchangeRecorder((exchange) => exchanges.push(exchange), {
    timeoutMs: 300_000,
    maxResponseBytes: 1024,
  });
  jest.advanceTimersByTime(afterMs);
  recorder.onRequestStart({ abort } as never);
  return { exchanges, abort, recorder };
}

test('a request that waited for a connection for 15 s is not sent any more: its token may be over (SA-10)', () => {
  const { exchanges, abort } = aRequestStarted(15_001);
  expect(abort).toHaveBeenCalled();
  expect(exchanges).toEqual([
    { kind: 'error', error: 'local_resources', message: expect.stringMatching(/^Within 15000 ms no connection/) },
  ]);
});

test('one that is sent in time has its whole timeout for the answer', () => {
  const { exchanges, abort, recorder } = aRequestStarted(14_999);
  jest.advanceTimersByTime(280_000);
  expect(abort).not.toHaveBeenCalled();
  recorder.onResponseStart({} as never, 204, {});
  recorder.onResponseEnd();
  expect(exchanges).toEqual([{ kind: 'response', status: 204 }]);
});
