import { describe, expect, test } from '@jest/globals';
import { PublishRefused } from './bus-errors.ts';
import { encodeHeaders } from './publish-wire.ts';

const decoder = new TextDecoder();

describe('encodeHeaders', () => {
  test('writes the id, the expectation and the headers in order', () => {
    const { bytes } = encodeHeaders(
      {
        msgId: 'a',
        expectedLastSubjectSeq: 0,
        headers: [
          ['ce-id', '1'],
          ['ce-id', 'ü'],
        ],
      },
      'own',
    );
    expect(decoder.decode(bytes)).toBe(
      'NATS/1.0\r\nNats-Msg-Id: a\r\nNats-Expected-Last-Subject-Sequence: 0\r\nce-id: 1\r\nce-id: ü\r\n\r\n',
    );
  });

  test('gives a message without an id one of its own, so that trying again is safe', () => {
    expect(decoder.decode(encodeHeaders({}, 'own').bytes)).toContain('Nats-Msg-Id: own\r\n');
  });

  test.each([
    ['a:b', 'x'],
    ['', 'x'],
    ['a b', 'x'],
    ['a', 'x\r\nNats-Rollup: all'],
    ['a', 'x\n'],
  ])('refuses the header %j: %j', (name, value) => {
    expect(() => encodeHeaders({ headers: [[name, value]] }, 'own')).toThrow(PublishRefused);
  });
});
