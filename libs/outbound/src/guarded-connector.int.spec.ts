import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startForwardProxy } from '#testkit/scripted-server';
import { startSink, type Sink } from '#testkit/sink-server';
import { makeAddressGuard } from './address-guard.ts';
import { makeGuardedConnector } from './guarded-connector.ts';
import { makeSecureContext } from './secure-context.ts';

let sink: Sink;
beforeAll(async () => {
  sink = await startSink({ plain: true });
});
afterAll(async () => {
  await sink.stop();
});

/** Connects to a name whose resolver gives these answers in turn. */
async function connectTo(answers: string[][], allowCidrs: string[] = []): Promise<{ error?: string; asked: number }> {
  let asked = 0;
  const connect = makeGuardedConnector({
    guard: makeAddressGuard({ allowCidrs }),
    connectTimeoutMs: 10_000,
    secureContext: makeSecureContext(),
    resolve() {
      const answer = answers[Math.min(asked++, answers.length - 1)] ?? [];
      return Promise.resolve(answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    },
  });
  const error = await new Promise<Error | null>((resolve) => {
    connect(
      { hostname: 'sink.example', protocol: 'http:', port: String(sink.port) },
      (failed, socket?: Socket | null) => {
        socket?.destroy();
        resolve(failed);
      },
    );
  });
  return { asked, ...(error === null ? {} : { error: error.message }) };
}

describe('the guarded connector', () => {
  test('connects to the one answer that it checked: a second answer is never asked for (DNS rebinding)', async () => {
    const { asked, error } = await connectTo([['127.0.0.1'], ['169.254.169.254']], ['127.0.0.1']);
    expect(error).toBeUndefined();
    expect(asked).toBe(1);
  });

  test('refuses a name as a whole when one of its addresses is inside', async () => {
    const before = sink.connectionCount();
    const { error } = await connectTo([['127.0.0.1', '10.0.0.7']], ['127.0.0.1']);
    expect(error).toBe('sink.example resolves to a private address.');
    expect((await connectTo([['8.8.8.8', '::1']])).error).toBe('sink.example resolves to a loopback address.');
    expect(sink.connectionCount()).toBe(before);
  });

  test.each([true, false])(
    'judges an address before a proxy is asked, whoever resolves names (%j)',
    async (resolvesNames) => {
      const proxy = await startForwardProxy({ connectTo: sink });
      const connect = makeGuardedConnector({
        guard: makeAddressGuard({ allowCidrs: ['127.0.0.1'] }),
        connectTimeoutMs: 10_000,
        secureContext: makeSecureContext(),
        proxy: { url: proxy.url, resolvesNames },
      });
      const connectTo = (hostname: string): Promise<string> =>
        new Promise((resolve) => {
          connect({ hostname, protocol: 'http:', port: String(sink.port) }, (error, socket?: Socket | null) => {
            socket?.destroy();
            resolve(error === null ? 'connected' : error.message);
          });
        });
      expect(await connectTo('169.254.169.254')).toMatch(/^169\.254\.169\.254 is a link-local address/);
      expect(await connectTo('[::1]')).toBe('::1 is a loopback address.');
      expect(await connectTo('127.0.0.1')).toBe('connected');
      expect(proxy.asked).toHaveLength(1);
      await proxy.stop();
    },
  );
});
