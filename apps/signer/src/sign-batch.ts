import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { SignRefusal, SignReply, SignRequest } from '#contracts/bus/sign';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { signatureHeaders, signedPrefix, UnsignableMessage } from '#core/signature/standard-webhooks';
import type { MasterKey } from './master-key.ts';

export interface SignPorts {
  findSubscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
  /** Resolves when everything that REGISTRY had at the call can be found. */
  catchUp(): Promise<void>;
  readonly masterKey: Pick<MasterKey, 'unseal'>;
}

export interface SignBatch {
  /** Replies in the order of the requests. Rejects only when REGISTRY can not be read; the asker asks again. */
  (requests: readonly SignRequest[]): Promise<SignReply[]>;
}

export interface Signing {
  readonly signBatch: SignBatch;
  /** Drops the opened secret of a subscription that changed or is gone. */
  forget(subscription: SubscriptionId): void;
}

interface OpenedSecret {
  readonly sealed: string;
  readonly key: KeyObject;
}

/**
 * Signs with secrets that are opened once and kept in this process's memory only. An opened secret counts only while the
 * subscription still has the sealed one that it came from, so a replaced secret is in force with the next request.
 */
export function makeSigning({ findSubscription, catchUp, masterKey }: SignPorts): Signing {
  const opened = new Map<SubscriptionId, OpenedSecret>();

  function keyOf(subscription: Subscription): KeyObject | SignRefusal {
    const { id, tenant, sealedSecret } = subscription;
    if (sealedSecret === undefined) return 'no_secret';
    const known = opened.get(id);
    if (known?.sealed === sealedSecret) return known.key;
    const unsealed = masterKey.unseal(sealedSecret, { tenant, subscription: id });
    if (!unsealed.ok) return unsealed.reason;
    const key = createSecretKey(unsealed.secret);
    opened.set(id, { sealed: sealedSecret, key });
    return key;
  }

  function signOne(request: SignRequest): SignReply {
    const subscription = findSubscription(request.tenant, request.subscription);
    if (subscription === undefined) return { ok: false, reason: 'unknown_subscription' };
    const key = keyOf(subscription);
    return typeof key === 'string' ? { ok: false, reason: key } : signWith(key, request);
  }

  return {
    async signBatch(requests) {
      const isKnown = ({ tenant, subscription }: SignRequest) => findSubscription(tenant, subscription) !== undefined;
      if (!requests.every(isKnown)) await catchUp();
      return requests.map(signOne);
    },
    forget(subscription) {
      opened.delete(subscription);
    },
  };
}

/**
 * 2.8 µs for a body of 1 KB. Copying prefix and body together first: 7.1 µs; the key as bytes instead of a KeyObject:
 * 15 µs.
 */
function signWith(key: KeyObject, request: SignRequest): SignReply {
  try {
    const hmac = createHmac('sha256', key).update(signedPrefix(request)).update(request.body).digest('base64');
    return { ok: true, headers: signatureHeaders(request, [hmac]) };
  } catch (error) {
    if (error instanceof UnsignableMessage) return { ok: false, reason: 'unsignable' };
    throw error;
  }
}
