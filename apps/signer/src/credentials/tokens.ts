import type { Lease } from '#bus/lease';
import type { KeepCredentialReply, KeepCredentialRequest } from '#contracts/bus/credential';
import type { SignRefusal } from '#contracts/bus/sign';
import type { ClientCredentials, RefreshTokenCredential, RenewableCredential } from '#core/credential/sink-credential';
import {
  carriedToken,
  parseSealedCredential,
  refreshed,
  type ObtainedToken,
  type TokenAnswer,
} from '#core/credential/token-request';
import { tokenUse } from '#core/credential/token-use';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { MasterKey } from '../master-key.ts';
import type { FetchToken } from './fetch-token.ts';

export interface TokenPorts {
  findSubscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
  /** Resolves when everything that REGISTRY had at the call can be found. */
  catchUp(): Promise<void>;
  readonly masterKey: Pick<MasterKey, 'seal' | 'unseal'>;
  readonly fetchToken: FetchToken;
  /** The right to use the refresh token of a subscription; undefined: another signer has it. */
  takeLease(subscription: SubscriptionId): Promise<Lease | undefined>;
  /** Has the registry keep what was obtained. Rejects when it does not answer. */
  keep(request: KeepCredentialRequest): Promise<KeepCredentialReply>;
  observe(result: RenewalResult): void;
  /** Tells an operator what went wrong; without secrets. */
  report(subscription: SubscriptionId, trouble: { readonly detail: string; readonly err?: unknown }): void;
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** `renewed`: by this signer. `elsewhere`: by another one, or it is about to. */
export type RenewalResult = 'renewed' | 'elsewhere' | 'refused' | 'failed';

export type TokenFound =
  | { readonly ok: true; readonly token: string }
  | { readonly ok: false; readonly reason: SignRefusal; readonly detail: string };

export interface Tokens {
  /**
   * The access token of a credential. When it is over, or soon will be, another one is obtained meanwhile: nobody waits here.
   *
   * @param refusedAtMs a request that was sent at this instant was answered 401
   */
  tokenFor(subscription: Subscription, credential: RenewableCredential, refusedAtMs?: number): TokenFound;
  /** Drops what is known of a credential that the subscription has no more. */
  forget(subscription: SubscriptionId, now: Subscription | undefined): void;
  /** Obtains no more, and waits for what is being obtained. */
  stop(): Promise<void>;
}

/** What this signer knows of a credential that is not in REGISTRY. */
interface Known {
  /** The credential that it is about. */
  readonly sealed: string;
  /** Of client credentials: each signer has its own, nothing is lost with it. */
  readonly token?: ObtainedToken;
  /** What the token endpoint said last, and when it may be asked again. */
  readonly trouble?: Trouble;
}

interface Trouble {
  readonly reason: 'credential_refused' | 'credential_pending';
  readonly detail: string;
  readonly failures: number;
  readonly untilMs: number;
}

/** So long nobody asks a token endpoint that has failed: from 2 s, twice as long each time, up to a minute. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;
const KEEP_PAUSE_MS = 500;
/** With the wait for an answer well within the time that a lease lasts: it is renewed before each pause. */
const LONGEST_KEEP_PAUSE_MS = 10_000;
const PENDING = 'another access token is being obtained';

/**
 * Obtains access tokens, one at a time for each subscription: in this process by turns, among all signers by a lease, for
 * a refresh token that is used twice may cost the whole grant (RFC 6749 section 10.4). What replaces it is
 * stored in REGISTRY before the access token is used: the token that is used is always that of the fold.
 */
export function makeTokens(ports: TokenPorts): Tokens {
  const known = new Map<SubscriptionId, Known>();
  const running = new Map<SubscriptionId, Promise<void>>();
  let isStopping = false;

  function tokenFor(subscription: Subscription, credential: RenewableCredential, refusedAtMs?: number): TokenFound {
    const about = knownOf(subscription);
    const token = currentToken(about, credential);
    const use = token === undefined ? 'expired' : tokenUse(token, { nowMs: ports.now(), refusedAtMs });
    if (use !== 'use' && !isPaused(about)) renew(subscription, refusedAtMs);
    if (token !== undefined && (use === 'use' || use === 'renew_ahead')) return { ok: true, token: token.token };
    const trouble = isPaused(about) ? about.trouble : undefined; // afterwards it may be well again
    return { ok: false, reason: trouble?.reason ?? 'credential_pending', detail: trouble?.detail ?? PENDING };
  }

  /** What is known of another credential says nothing of this one. */
  function knownOf({ id, sealedCredential: sealed = '' }: Subscription): Known {
    const about = known.get(id);
    return about?.sealed === sealed ? about : { sealed };
  }

  function isPaused({ trouble }: Known): boolean {
    return trouble !== undefined && ports.now() < trouble.untilMs;
  }

  function renew({ id, tenant }: Subscription, refusedAtMs: number | undefined): void {
    if (isStopping || running.has(id)) return;
    const renewal = renewOnce(tenant, id, refusedAtMs)
      .then(ports.observe)
      .catch((err: unknown) => {
        ports.observe('failed');
        ports.report(id, { detail: 'an access token could not be obtained', err });
        const now = ports.findSubscription(tenant, id);
        if (now !== undefined) remember(now, { kind: 'failed', detail: PENDING });
      })
      .finally(() => running.delete(id));
    running.set(id, renewal);
  }

  async function renewOnce(
    tenant: TenantId,
    id: SubscriptionId,
    refusedAtMs: number | undefined,
  ): Promise<RenewalResult> {
    const found = ports.findSubscription(tenant, id);
    const credential = found && open(found);
    if (credential === undefined) return 'elsewhere';
    if (credential.credentialtype === 'CLIENTCREDENTIALS') return obtain(found as Subscription, credential);
    const lease = await ports.takeLease(id);
    if (lease === undefined) return 'elsewhere';
    try {
      await ports.catchUp(); // whoever had the lease before has stored what it obtained
      const now = ports.findSubscription(tenant, id);
      const current = now && open(now);
      if (current?.credentialtype !== 'REFRESHTOKEN') return 'elsewhere';
      if (tokenUse(carriedToken(current), { nowMs: ports.now(), refusedAtMs }) === 'use') return 'elsewhere';
      return await refresh(now as Subscription, current, lease);
    } finally {
      await lease.release();
    }
  }

  async function obtain(subscription: Subscription, credential: ClientCredentials): Promise<RenewalResult> {
    const answer = await ports.fetchToken(credential);
    if (answer.kind !== 'token') return remember(subscription, answer);
    known.set(subscription.id, { sealed: subscription.sealedCredential ?? '', token: answer.token });
    return 'renewed';
  }

  async function refresh(
    subscription: Subscription,
    credential: RefreshTokenCredential,
    lease: Lease,
  ): Promise<RenewalResult> {
    const answer = await ports.fetchToken(credential);
    if (answer.kind !== 'token') return remember(subscription, answer);
    const expiresutc = new Date(answer.token.expiresAtMs).toISOString();
    const isKept = await keep(subscription, credential, refreshed(credential, answer, expiresutc), lease);
    await ports.catchUp();
    return isKept ? 'renewed' : 'elsewhere';
  }

  /**
   * Asks until there is an answer: what was obtained exists nowhere else, and the refresh token that it was obtained with
   * may be good for nothing any more. Until then no other signer may use that one.
   */
  async function keep(
    { tenant, id, sealedCredential = '' }: Subscription,
    used: RefreshTokenCredential,
    obtained: RefreshTokenCredential,
    lease: Lease,
  ): Promise<boolean> {
    const owner = { tenant, subscription: id, purpose: 'credential' } as const;
    const sealed = ports.masterKey.seal(Buffer.from(JSON.stringify(obtained)), owner);
    let replaces = sealedCredential;
    for (let tries = 0; ; tries++) {
      try {
        const { result } = await ports.keep({ tenant, subscription: id, replaces, sealed });
        if (result === 'kept') return true;
        const resealed = await resealedOf(tenant, id, used);
        if (resealed === undefined) return false; // the subscriber has given another one, or wants none
        replaces = resealed;
      } catch (err) {
        if (isStopping) throw err;
        if (tries === 0) ports.report(id, { detail: 'a renewed credential can not be stored yet', err });
        await lease.renew();
        await ports.sleep(Math.min(KEEP_PAUSE_MS * (tries + 1), LONGEST_KEEP_PAUSE_MS));
      }
    }
  }

  /** The same credential under another master key. */
  async function resealedOf(
    tenant: TenantId,
    id: SubscriptionId,
    used: RefreshTokenCredential,
  ): Promise<string | undefined> {
    await ports.catchUp();
    const now = ports.findSubscription(tenant, id);
    const current = now && open(now);
    const isSame = current?.credentialtype === 'REFRESHTOKEN' && current.refreshtoken === used.refreshtoken;
    return isSame && current.refreshtokenendpoint === used.refreshtokenendpoint ? now?.sealedCredential : undefined;
  }

  function open({ tenant, id, sealedCredential }: Subscription): RenewableCredential | undefined {
    if (sealedCredential === undefined) return undefined;
    const owner = { tenant, subscription: id, purpose: 'credential' } as const;
    const unsealed = ports.masterKey.unseal(sealedCredential, owner);
    const credential = unsealed.ok ? parseSealedCredential<RenewableCredential>(unsealed.secret) : undefined;
    const type = credential?.credentialtype;
    return type === 'REFRESHTOKEN' || type === 'CLIENTCREDENTIALS' ? credential : undefined;
  }

  function remember(subscription: Subscription, answer: Exclude<TokenAnswer, { kind: 'token' }>): RenewalResult {
    const { trouble: before, ...about } = knownOf(subscription);
    const failures = (before?.failures ?? 0) + 1;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10), LONGEST_PAUSE_MS);
    const isRefused = answer.kind === 'refused';
    const trouble: Trouble = {
      reason: isRefused ? 'credential_refused' : 'credential_pending',
      detail: isRefused ? `${answer.detail}; replace the credential, then resume` : answer.detail,
      failures,
      untilMs: ports.now() + pauseMs,
    };
    known.set(subscription.id, { ...about, trouble });
    ports.report(subscription.id, { detail: answer.detail });
    return answer.kind;
  }

  return {
    tokenFor,
    forget(subscription, now) {
      // A change of anything else makes neither the token worse nor the trouble better.
      if (known.get(subscription)?.sealed !== now?.sealedCredential) known.delete(subscription);
    },
    async stop() {
      isStopping = true;
      await Promise.all(running.values());
    },
  };
}

function currentToken({ token }: Known, credential: RenewableCredential): ObtainedToken | undefined {
  return credential.credentialtype === 'CLIENTCREDENTIALS' ? token : carriedToken(credential);
}
