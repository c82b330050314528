import { describe, expect, test } from '@jest/globals';
import type { FastifyReply } from 'fastify';
import type { SigningKeyId, TenantId } from '#core/ids';
import type { SigningKey } from '#core/registry/signing-key';
import { ProblemError } from '#platform/problem';
import { aMadeKey } from '#testkit/made-key';
import { PublicKeysController } from './public-keys.controller.ts';

const tenant = 'acme' as TenantId;

function aKey(): SigningKey {
  return { ...aMadeKey(), tenant, algorithm: 'ecdsa-p256-sha256', state: 'active', createdAtMs: 1, publishedAtMs: 1 };
}

/** A gateway that knows `known`, and of `behind` as soon as it catches up, which it can not while the bus is away. */
function gateway({
  known = [],
  behind = [],
  isBusAway = false,
}: Partial<Record<'known' | 'behind', SigningKey[]>> & { isBusAway?: boolean }) {
  const keys = new Map(known.map((key) => [key.id, key]));
  const headers = new Map<string, string>();
  let asked = 0;
  const controller = new PublicKeysController({
    signingKeyById: (id) => keys.get(id),
    signingKeys: () => keys.values(),
    catchUp() {
      asked += 1;
      if (!isBusAway) for (const key of behind) keys.set(key.id, key);
      return Promise.resolve(!isBusAway);
    },
    now: () => 2,
  });
  const answer = async (ask: (reply: FastifyReply) => Promise<void>) => {
    let sent = '';
    const reply = {
      header(name: string, value: string) {
        headers.set(name, value);
        return reply;
      },
      type: () => reply,
      send: (text: string) => (sent = text),
    };
    try {
      await ask(reply as unknown as FastifyReply);
      return JSON.parse(sent) as { kid?: string; keys?: { kid: string }[] };
    } catch (error) {
      if (error instanceof ProblemError) return error.problem.status;
      throw error;
    }
  };
  return {
    key: (id: SigningKeyId) => answer((reply) => controller.key(`${id}.jwk`, reply)),
    set: () => answer((reply) => controller.keySet(tenant, reply)),
    asked: () => asked,
    cacheControl: () => headers.get('cache-control'),
  };
}

describe('the public keys, asked for before this process has heard of the newest', () => {
  test('show a key as soon as it signs (MS-5)', async () => {
    const key = aKey();
    expect(await gateway({ behind: [key] }).key(key.id)).toMatchObject({ kid: key.id });
    expect(await gateway({ behind: [key] }).set()).toMatchObject({ keys: [{ kid: key.id }] });
  });

  test('do not ask for a key that is known', async () => {
    const key = aKey();
    const { key: ask, asked } = gateway({ known: [key] });
    expect(await ask(key.id)).toMatchObject({ kid: key.id });
    expect(asked()).toBe(0);
  });

  test('say that there is no such key only when that is certain', async () => {
    const { id } = aKey();
    expect(await gateway({}).key(id)).toBe(404);
    expect(await gateway({ isBusAway: true }).key(id)).toBe(503);
  });

  test('are those that are known while the bus is away', async () => {
    const key = aKey();
    const { key: ask, set } = gateway({ known: [key], behind: [aKey()], isBusAway: true });
    expect(await ask(key.id)).toMatchObject({ kid: key.id });
    expect(await set()).toMatchObject({ keys: [{ kid: key.id }] });
  });

  test('may be kept, but not that there are none: the first one signs as soon as it is made (MS-5)', async () => {
    const [some, none] = [gateway({ known: [aKey()] }), gateway({})];
    await Promise.all([some.set(), none.set()]);
    expect([some.cacheControl(), none.cacheControl()]).toEqual(['public, max-age=300', 'no-store']);
  });
});
