import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { LEASE_SECONDS } from '#bus/topology';
import type { KeepCredentialReply, KeepCredentialRequest } from '#contracts/bus/credential';
import type { ClientCredentials, RefreshTokenCredential, RenewableCredential } from '#core/credential/sink-credential';
import type { TokenAnswer } from '#core/credential/token-request';
import type { TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeMasterKey } from '../master-key.ts';
import { makeTokens, type TokenPorts, type Tokens } from './tokens.ts';

const tenant = 'acme' as TenantId;
const masterKey = makeMasterKey(new Uint8Array(32).fill(1));
const NOW = Date.parse('2026-11-22T12:00:00Z');
const { id: subscription } = aSubscription();
const owner = { tenant, subscription, purpose: 'credential' } as const;

const refresh: RefreshTokenCredential = {
  credentialtype: 'REFRESHTOKEN',
  accesstoken: 'a0',
  accesstokenexpiresutc: '2026-11-22T11:00:00Z',
  accesstokentype: 'bearer',
  refreshtoken: 'r0',
  refreshtokenendpoint: 'https://as.example/token',
};
const client: ClientCredentials = {
  credentialtype: 'CLIENTCREDENTIALS',
  tokenendpoint: 'https://as.example/token',
  clientid: 'c',
  clientsecret: 's',
};

const seal = (credential: RenewableCredential, key = masterKey) =>
  key.seal(Buffer.from(JSON.stringify(credential)), owner);

function open(sealed: string | undefined): RenewableCredential {
  const unsealed = masterKey.unseal(sealed ?? '', owner);
  if (!unsealed.ok) throw new Error(unsealed.reason);
  return JSON.parse(Buffer.from(unsealed.secret).toString()) as RenewableCredential;
}

/** A token server that rotates: a refresh token that comes twice ends the grant, as real ones do (RFC 6749 10.4). */
function aGrant() {
  const grant = { current: 'r0', isRevoked: false, asked: 0 };
  const fetchToken = async (credential: RenewableCredential): Promise<TokenAnswer> => {
    grant.asked++;
    await nextTurn();
    const n = grant.asked;
    if (credential.credentialtype === 'REFRESHTOKEN' && credential.refreshtoken !== grant.current)
      grant.isRevoked = true;
    if (grant.isRevoked) return { kind: 'refused', detail: 'the token endpoint answered 400 invalid_grant' };
    grant.current = `r${n}`;
    const token = { token: `a${n}`, obtainedAtMs: world.nowMs, expiresAtMs: world.nowMs + 3_600_000 };
    return { kind: 'token', token, refreshtoken: grant.current };
  };
  return { grant, fetchToken };
}

const world = { nowMs: NOW };

/** Several signers that share a registry and a lease. */
function aCluster(credential: RenewableCredential, overrides: Partial<TokenPorts> = {}) {
  world.nowMs = NOW;
  const { grant, fetchToken } = aGrant();
  const registry: { one: Subscription } = {
    one: aSubscription({
      tenant,
      spec: aSpec({ sinkcredential: { credentialtype: credential.credentialtype } }),
      sealedCredential: seal(credential),
    }),
  };
  const results: string[] = [];
  const reports: string[] = [];
  let isLeased = false;

  function keep({ replaces, sealed }: KeepCredentialRequest): Promise<KeepCredentialReply> {
    if (registry.one.sealedCredential !== replaces) return Promise.resolve({ result: 'stale' });
    registry.one = { ...registry.one, sealedCredential: sealed };
    return Promise.resolve({ result: 'kept' });
  }

  function aSigner(): Tokens & { ask(refusedAtMs?: number): ReturnType<Tokens['tokenFor']> } {
    let seen = registry.one;
    const tokens = makeTokens({
      findSubscription: () => seen,
      catchUp() {
        seen = registry.one;
        return Promise.resolve();
      },
      masterKey,
      fetchToken,
      async takeLease() {
        await nextTurn();
        if (isLeased) return undefined;
        isLeased = true;
        const release = () => {
          isLeased = false;
          return Promise.resolve();
        };
        return { renew: () => Promise.resolve(), release };
      },
      keep,
      observe: (result) => results.push(result),
      report: (_id, { detail }) => reports.push(detail),
      now: () => world.nowMs,
      sleep: () => nextTurn(),
      ...overrides,
    });
    return { ...tokens, ask: (refusedAtMs) => tokens.tokenFor(seen, open(seen.sealedCredential), refusedAtMs) };
  }

  return { grant, registry, results, reports, aSigner, keep };
}

/** Asks until there is an answer that is not "later". */
async function askUntil(signer: ReturnType<ReturnType<typeof aCluster>['aSigner']>, refusedAtMs?: number) {
  for (let turns = 0; turns < 200; turns++) {
    const found = signer.ask(refusedAtMs);
    if (found.ok || found.reason !== 'credential_pending') return found;
    await nextTurn();
  }
  throw new Error('still pending');
}

describe('a refresh token', () => {
  test('obtains the next access token, and what replaces it is stored before the token is used (SA-10)', async () => {
    const { registry, aSigner, grant } = aCluster(refresh);
    const signer = aSigner();
    expect(signer.ask()).toMatchObject({ ok: false, reason: 'credential_pending' });
    expect(await askUntil(signer)).toEqual({ ok: true, token: 'a1' });
    expect(open(registry.one.sealedCredential)).toMatchObject({
      accesstoken: 'a1',
      refreshtoken: 'r1',
      obtainedatms: NOW,
    });
    expect(grant.asked).toBe(1);
  });

  test('is never used twice, by however many signers and deliveries at once', async () => {
    const { grant, aSigner, results } = aCluster(refresh);
    const signers = Array.from({ length: 4 }, aSigner);
    const found = await Promise.all(
      Array.from({ length: 40 }, (_, i) => askUntil(signers[i % 4] as (typeof signers)[0])),
    );
    expect(new Set(found.map((one) => (one.ok ? one.token : one.reason)))).toEqual(new Set(['a1']));
    expect(grant).toMatchObject({ asked: 1, isRevoked: false });
    expect(results.filter((result) => result === 'renewed')).toHaveLength(1);
  });

  test('is renewed ahead, while the token is used on', async () => {
    const { aSigner } = aCluster({ ...refresh, accesstokenexpiresutc: '2026-11-22T12:01:00Z' });
    const signer = aSigner();
    expect(signer.ask()).toEqual({ ok: true, token: 'a0' });
    await signer.stop();
    expect(signer.ask()).toEqual({ ok: true, token: 'a1' });
  });

  test('obtains another one for a token that the sink has refused, once for all that were refused', async () => {
    const { grant, aSigner } = aCluster({ ...refresh, accesstokenexpiresutc: '2026-11-22T13:00:00Z' });
    const signers = [aSigner(), aSigner()] as const;
    expect(signers[0].ask()).toEqual({ ok: true, token: 'a0' });
    const found = await Promise.all([...signers, ...signers].map((signer) => askUntil(signer, NOW - 1)));
    expect(found).toEqual(Array(4).fill({ ok: true, token: 'a1' }));
    world.nowMs += 60_000;
    expect(signers[0].ask(NOW - 1)).toEqual({ ok: true, token: 'a1' });
    expect(grant.asked).toBe(1);
  });

  test('that the token endpoint refuses is said to be so; another one that the subscriber gives is good at once', async () => {
    const { registry, aSigner, grant, reports } = aCluster({ ...refresh, refreshtoken: 'stolen' });
    const signer = aSigner();
    const detail = 'the token endpoint answered 400 invalid_grant; replace the credential, then resume';
    expect(await askUntil(signer)).toEqual({ ok: false, reason: 'credential_refused', detail });
    expect(reports).toEqual(['the token endpoint answered 400 invalid_grant']);
    Object.assign(grant, { isRevoked: false, current: 'r0' });
    registry.one = { ...registry.one, sealedCredential: seal(refresh) };
    const restarted = aSigner();
    expect(await askUntil(restarted)).toMatchObject({ ok: true });
  });

  test('is not given up while the registry is away: it is stored when that is back', async () => {
    let failures = 3;
    const cluster: ReturnType<typeof aCluster> = aCluster(refresh, {
      keep: (question) => (failures-- > 0 ? Promise.reject(new Error('away')) : cluster.keep(question)),
    });
    const signer = cluster.aSigner();
    expect(await askUntil(signer)).toEqual({ ok: true, token: 'a1' });
    expect(failures).toBe(-1);
    expect(cluster.reports).toEqual(['a renewed credential can not be stored yet']);
  });

  test('is never used twice while the registry is away for longer than a lease lasts (RFC 6749 section 10.4)', async () => {
    const AWAY_MS = 10 * 60_000;
    let lease = { holder: 0, untilMs: -Infinity };
    let holders = 0;
    const takeLease: TokenPorts['takeLease'] = () => {
      if (world.nowMs < lease.untilMs) return Promise.resolve(undefined);
      const holder = ++holders;
      const renew = () => {
        if (lease.holder === holder) lease = { holder, untilMs: world.nowMs + LEASE_SECONDS * 1000 };
        return Promise.resolve();
      };
      const release = () => {
        if (lease.holder === holder) lease = { holder, untilMs: -Infinity };
        return Promise.resolve();
      };
      lease = { holder, untilMs: -Infinity };
      return renew().then(() => ({ renew, release }));
    };
    const cluster: ReturnType<typeof aCluster> = aCluster(refresh, {
      takeLease,
      keep: (question) => (world.nowMs < NOW + AWAY_MS ? Promise.reject(new Error('away')) : cluster.keep(question)),
      async sleep(ms) {
        for (const untilMs = world.nowMs + ms; world.nowMs < untilMs; world.nowMs += 500) {
          other.ask();
          await nextTurn();
        }
      },
    });
    const [signer, other] = [cluster.aSigner(), cluster.aSigner()];
    signer.ask();
    for (let turns = 0; turns < 10_000 && !cluster.results.includes('renewed'); turns++) await nextTurn();
    expect(world.nowMs).toBeGreaterThan(NOW + AWAY_MS);
    expect(cluster.grant).toMatchObject({ asked: 1, isRevoked: false });
  });

  test('that was sealed anew meanwhile is stored all the same; one that was replaced is left alone', async () => {
    const meanwhile: RenewableCredential[] = [refresh, { ...refresh, accesstoken: 'theirs', refreshtoken: 'theirs' }];
    const kept = [];
    for (const next of meanwhile) {
      let isFirst = true;
      const cluster: ReturnType<typeof aCluster> = aCluster(refresh, {
        keep(question) {
          if (isFirst) cluster.registry.one = { ...cluster.registry.one, sealedCredential: seal(next) };
          isFirst = false;
          return cluster.keep(question);
        },
      });
      const signer = cluster.aSigner();
      signer.ask();
      await signer.stop();
      kept.push(open(cluster.registry.one.sealedCredential));
    }
    expect(kept).toMatchObject([{ refreshtoken: 'r1' }, { refreshtoken: 'theirs' }]);
  });
});

describe('client credentials', () => {
  test('have a token in each signer, and nothing is written', async () => {
    const { grant, registry, aSigner } = aCluster(client);
    const before = registry.one;
    const [first, second] = [aSigner(), aSigner()];
    expect(await askUntil(first)).toEqual({ ok: true, token: 'a1' });
    expect(await askUntil(second)).toEqual({ ok: true, token: 'a2' });
    expect([first.ask(), second.ask()]).toEqual([
      { ok: true, token: 'a1' },
      { ok: true, token: 'a2' },
    ]);
    expect([grant.asked, registry.one]).toEqual([2, before]);
  });

  test('obtain another token when the sink refuses one that was obtained before', async () => {
    const { aSigner } = aCluster(client);
    const signer = aSigner();
    await askUntil(signer);
    world.nowMs += 60_000;
    expect(signer.ask(world.nowMs - 1)).toMatchObject({ reason: 'credential_pending' });
    expect(await askUntil(signer, world.nowMs - 1)).toEqual({ ok: true, token: 'a2' });
  });

  test('wait for an endpoint that fails, which is asked seldom', async () => {
    let asked = 0;
    const fetchToken = () => {
      asked++;
      return Promise.resolve({ kind: 'failed', detail: 'the token endpoint answered 500' } as const);
    };
    const { aSigner } = aCluster(client, { fetchToken });
    const signer = aSigner();
    for (let i = 0; i < 20; i++) {
      signer.ask();
      await nextTurn();
    }
    expect(signer.ask()).toEqual({
      ok: false,
      reason: 'credential_pending',
      detail: 'the token endpoint answered 500',
    });
    expect(asked).toBe(1);
    world.nowMs += 2_000;
    for (let i = 0; i < 20; i++) {
      signer.ask();
      await nextTurn();
    }
    expect(asked).toBe(2);
  });

  test('are forgotten with the credential, not with another change', async () => {
    const { aSigner, registry } = aCluster(client);
    const signer = aSigner();
    await askUntil(signer);
    signer.forget(subscription, registry.one);
    expect(signer.ask()).toEqual({ ok: true, token: 'a1' });
    signer.forget(subscription, undefined);
    expect(signer.ask()).toMatchObject({ reason: 'credential_pending' });
  });
});
