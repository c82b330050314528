import { describe, expect, test } from '@jest/globals';
import { batchSize } from './projections.ts';

describe('the batch of a projection', () => {
  test('it is smaller for whole events, so that large ones fit into memory', () => {
    expect(batchSize('EVENTS', 2000)).toBe(250);
    expect(batchSize('EVENTS', 10)).toBe(10);
    expect(batchSize('JOURNAL', 2000)).toBe(2000);
  });
});
