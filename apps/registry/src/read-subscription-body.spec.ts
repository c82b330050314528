import { describe, expect, test } from '@jest/globals';
import { makeCheckSink } from './check-sink.ts';
import { readSubscriptionBody } from './read-subscription-body.ts';

const checkSink = makeCheckSink({ allowCidrs: [], allowHttp: false });

function pointersOf(body: unknown): string[] {
  const read = readSubscriptionBody(body, checkSink);
  return read.ok ? [] : read.violations.map(({ pointer }) => pointer);
}

describe('reading a subscription', () => {
  test('it tells what is wrong with the sink together with everything else', () => {
    expect(pointersOf({ sink: 'http://10.0.0.1/', protocol: 'http', types: [] })).toEqual([
      '/protocol',
      '/types',
      '/sink',
    ]);
  });

  test('it tells what is wrong with the dead letter sink as well', () => {
    const config = { deadLetterSink: 'https://10.0.0.1/', maxInFlight: 0 };
    expect(pointersOf({ sink: 'https://example.com/', protocol: 'HTTP', config })).toEqual([
      '/config/maxInFlight',
      '/config/deadLetterSink',
    ]);
    const unreadable = { deadLetterSink: 'not a URL', maxInFlight: 0 };
    expect(pointersOf({ sink: 'https://example.com/', protocol: 'HTTP', config: unreadable })).toEqual([
      '/config/maxInFlight',
      '/config/deadLetterSink',
    ]);
    expect(pointersOf({ sink: 'https://10.0.0.1/', protocol: 'HTTP', config: null })).toEqual(['/config', '/sink']);
  });

  test('it tells only once what is wrong with the sink', () => {
    expect(pointersOf({ sink: 'not a URL', protocol: 'http' }).filter((pointer) => pointer === '/sink')).toHaveLength(
      1,
    );
  });

  test.each([null, 7, 'text', []])('it refuses %p without a sink to look at', (body) => {
    expect(pointersOf(body).length).toBeGreaterThan(0);
  });

  test('it passes a valid body on, whatever the installation says of its sink', () => {
    expect(pointersOf({ sink: 'https://10.0.0.1/', protocol: 'HTTP' })).toEqual([]);
  });
});
