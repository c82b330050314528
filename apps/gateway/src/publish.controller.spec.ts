import { describe, expect, test } from '@jest/globals';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TenantId } from '#core/ids';
import { ProblemError } from '#platform/problem';
import type { PublishPorts, PublishResult } from './gateway.ports.ts';
import { PublishController } from './publish.controller.ts';

async function publish(acceptEvents: PublishPorts['acceptEvents']) {
  const measured: PublishResult[] = [];
  const controller = new PublishController({
    authenticate: () => Promise.resolve({ kind: 'operator', tenant: 'acme' as TenantId, scopes: ['publish'] } as never),
    answerHandshake: () => Promise.resolve([]),
    acceptEvents,
    isSaturated: () => false,
    faultOf: () => 'bus_unavailable',
    startTimer: () => (result) => void measured.push(result),
  });
  const request = { headers: {}, query: {}, raw: { rawHeaders: [] }, body: undefined } as unknown as FastifyRequest;
  const answer = await controller.publish(request, {} as FastifyReply).catch((error: unknown) => error);
  return { measured, answer };
}

describe('measuring publish requests', () => {
  test('it tells what became of a request', async () => {
    const { measured } = await publish(() => Promise.resolve({ kind: 'accepted', events: [] }));
    expect(measured).toEqual(['accepted']);
  });

  test('it measures a request that could not be stored, too', async () => {
    const { measured, answer } = await publish(() => Promise.reject(new Error('no leader')));
    expect(answer).toBeInstanceOf(ProblemError);
    expect(measured).toEqual(['unavailable']);
  });
});
