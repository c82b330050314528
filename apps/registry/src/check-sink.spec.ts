import { describe, expect, test } from '@jest/globals';
import { checkSinksOf, makeCheckSink } from './check-sink.ts';

const closed = makeCheckSink({ allowCidrs: [], allowHttp: false });

describe('checking a sink at registration', () => {
  test.each([
    'https://example.com/hooks',
    'https://93.184.216.34/x',
    'https://internal.example/',
    'nats://example.com:4222',
  ])('takes %s', (sink) => {
    expect(closed(sink)).toEqual([]);
  });

  test.each([
    ['http://example.com', 'POSTHASTE_SINK_HTTP'],
    ['https://127.0.0.1/x', 'POSTHASTE_SINK_ALLOW'],
    ['https://2130706433/x', 'POSTHASTE_SINK_ALLOW'],
    ['https://10.1.2.3:8443', 'POSTHASTE_SINK_ALLOW'],
    ['https://[::1]/', 'POSTHASTE_SINK_ALLOW'],
    ['https://169.254.169.254/latest/meta-data', 'POSTHASTE_SINK_ALLOW'],
    ['https://localhost/x', 'POSTHASTE_SINK_ALLOW'],
    ['https://a.localhost./x', 'POSTHASTE_SINK_ALLOW'],
    ['nats://127.0.0.1:4222', 'POSTHASTE_SINK_ALLOW'],
    ['tls://[::1]:4222', 'POSTHASTE_SINK_ALLOW'],
    ['nats://localhost', 'POSTHASTE_SINK_ALLOW'],
  ])('refuses %s with a hint to %s', (sink, hint) => {
    expect(closed(sink)).toEqual([{ rule: 'SA-7', pointer: '/sink', detail: expect.stringContaining(hint) }]);
  });

  test('refuses a dead letter sink like any other, and points at it', () => {
    const [violation] = checkSinksOf({ sink: 'https://example.com/', deadLetterSink: 'https://10.1.2.3/' }, closed);
    expect(violation).toMatchObject({ rule: 'SA-7', pointer: '/config/deadLetterSink' });
    expect(checkSinksOf({ sink: 'https://example.com/', deadLetterSink: 'https://example.com/dead' }, closed)).toEqual(
      [],
    );
    expect(checkSinksOf({ sink: 'https://example.com/' }, closed)).toEqual([]);
  });

  test('takes what the operator exempts', () => {
    const open = makeCheckSink({ allowCidrs: ['127.0.0.0/8'], allowHttp: true });
    expect(open('http://127.0.0.1:9000/x')).toEqual([]);
    expect(open('http://localhost:9000/x')).toEqual([]);
    expect(open('http://10.0.0.1/')).toHaveLength(1);
  });

  test('takes the built-in inbox and nothing beside it', () => {
    const withInbox = makeCheckSink({ allowCidrs: [], allowHttp: false, inboxUrl: 'http://127.0.0.1:8080/inbox' });
    expect(withInbox('http://127.0.0.1:8080/inbox/demo')).toEqual([]);
    expect(withInbox('http://127.0.0.1:8080/v1/tenants')).toHaveLength(1);
    expect(withInbox('http://127.0.0.1:8081/inbox/demo')).toHaveLength(1);
  });
});
