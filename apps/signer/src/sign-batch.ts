import { createPrivateKey, createSecretKey, type KeyObject } from 'node:crypto';
import { fitsSignMessage, type SignRefusal, type SignReply, type SignRequest } from '#contracts/bus/sign';
import type { SubscriptionId, TenantId } from '#core/ids';
import { keysThatSign, type SigningKey } from '#core/registry/signing-key';
import type { Subscription } from '#core/registry/subscription';
import { withoutNamesOf, type HeaderPair } from '#core/signature/http-message';
import { coversRequest, keyAlgorithmOf } from '#core/signature/signature-settings';
import { formatSecret } from '#core/signature/signing-secret';
import { UnsignableMessage } from '#core/signature/unsignable-message';
import type { Authorizing } from './credentials/authorize.ts';
import type { MasterKey, SecretOwner } from './master-key.ts';
import { signNotification, type SignatureContext, type SigningKeys } from './sign-notification.ts';

export interface SignPorts extends SignatureContext {
  findSubscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
  signingKeys(tenant: TenantId): Iterable<SigningKey>;
  /** Resolves when everything that REGISTRY had at the call can be found. */
  catchUp(): Promise<void>;
  readonly masterKey: Pick<MasterKey, 'unseal'>;
  readonly authorize: Authorizing['authorize'];
}

export interface SignBatch {
  /** Replies in the order of the requests. Rejects only when REGISTRY can not be read; the asker asks again. */
  (requests: readonly SignRequest[]): Promise<SignReply[]>;
}

export interface Signing {
  readonly signBatch: SignBatch;
  /** Drops the opened secrets of a subscription that changed or is gone. */
  forget(subscription: SubscriptionId): void;
}

/** One sealed thing, and how it is opened. */
interface Sealed {
  readonly text: string;
  readonly owner: SecretOwner;
  readonly form: keyof typeof KEY_OF;
}

/** What becomes of opened bytes. */
const KEY_OF = {
  secret: (secret: Uint8Array) => createSecretKey(secret),
  /** Other verifiers of `t=…,v1=…` take the text of a secret for the key. */
  secretText: (secret: Uint8Array) => createSecretKey(Buffer.from(formatSecret(secret))),
  privateKey: (pkcs8: Uint8Array) => createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }),
} as const;

/**
 * Signs with secrets and keys that are opened once and kept in this process's memory only. What was opened counts only
 * while the owner still has the sealed text that it came from, so a replaced secret is in force with the next request.
 */
export function makeSigning(ports: SignPorts): Signing {
  const { findSubscription, catchUp, masterKey } = ports;
  const opened = new Map<string, Map<string, KeyObject>>();

  /** Opens what is not open yet, and drops what its holder has no more. */
  function openAll(holder: string, all: readonly Sealed[]): KeyObject[] | SignRefusal {
    const known = opened.get(holder);
    const now = new Map<string, KeyObject>();
    for (const sealed of all) {
      const name = `${sealed.form} ${sealed.text}`;
      const key = known?.get(name) ?? openOne(sealed);
      if (typeof key === 'string') return key;
      now.set(name, key);
    }
    opened.set(holder, now);
    return [...now.values()];
  }

  function openOne({ text, owner, form }: Sealed): KeyObject | SignRefusal {
    const unsealed = masterKey.unseal(text, owner);
    return unsealed.ok ? KEY_OF[form](unsealed.secret) : unsealed.reason;
  }

  function secretsOf(subscription: Subscription, nowMs: number): SigningKeys | SignRefusal {
    const { id, tenant, sealedSecret, previousSecrets = [], spec } = subscription;
    if (sealedSecret === undefined) return 'no_secret';
    const inGrace = previousSecrets.filter(({ graceUntilMs }) => nowMs < graceUntilMs).map(({ sealed }) => sealed);
    const form = spec.config.signature.profile === 'hmac-timestamp' ? 'secretText' : 'secret';
    const owner = { tenant, subscription: id };
    const keys = openAll(
      id,
      [sealedSecret, ...inGrace].map((text) => ({ text, owner, form })),
    );
    return typeof keys === 'string' ? keys : firstOf(keys, 'no_secret');
  }

  function tenantKeysOf(tenant: TenantId, algorithm: SigningKey['algorithm']): SigningKeys | SignRefusal {
    const signing = keysThatSign(ports.signingKeys(tenant), algorithm);
    const all = signing.map(({ id, sealedPrivateKey: text = '' }): Sealed => {
      return { text, owner: { tenant, signingKey: id }, form: 'privateKey' };
    });
    const keys = openAll(`${tenant} ${algorithm}`, all);
    if (typeof keys === 'string') return keys;
    const found = firstOf(keys, 'no_key');
    return typeof found === 'string' || signing[0] === undefined ? found : { ...found, keyId: signing[0].id };
  }

  function signOne(request: SignRequest): SignReply {
    const subscription = findSubscription(request.tenant, request.subscription);
    if (subscription === undefined) return refused('unknown_subscription');
    const authorized = request.authorization && ports.authorize(subscription, request.authorization);
    if (authorized?.ok === false) return authorized;
    const authorization = authorized === undefined ? [] : [authorized.header];
    const { signature } = subscription.spec.config;
    if (signature.profile === 'none')
      return authorized === undefined ? refused('no_secret') : { ok: true, headers: authorization };
    // The worker asked before it heard of the profile. It asks again, with the request: nothing is lost by that.
    if (coversRequest(signature) && request.head === undefined) return refused('other_profile');
    const algorithm = keyAlgorithmOf(signature);
    const keys =
      algorithm === undefined
        ? secretsOf(subscription, request.timestampSeconds * 1000)
        : tenantKeysOf(subscription.tenant, algorithm);
    if (typeof keys === 'string') return refused(keys);
    try {
      const signed = signNotification(signature, withHeaders(request, authorization), keys, ports);
      const headers = [...signed, ...withoutNamesOf(signed, authorization)];
      return fitsSignMessage(headers) ? { ok: true, headers } : refused('unsignable');
    } catch (error) {
      if (error instanceof UnsignableMessage) return refused('unsignable');
      throw error;
    }
  }

  /** Everything that the request needs is in this process's fold of REGISTRY. */
  function isKnown({ tenant, subscription: id, authorization }: SignRequest): boolean {
    const subscription = findSubscription(tenant, id);
    if (subscription === undefined) return false;
    if (authorization !== undefined) {
      // Only what can be made, and what is being obtained, is never behind: a new credential may be on its way here.
      const authorized = ports.authorize(subscription, authorization);
      if (!authorized.ok && authorized.reason !== 'credential_pending') return false;
    }
    const algorithm = keyAlgorithmOf(subscription.spec.config.signature);
    return algorithm === undefined || keysThatSign(ports.signingKeys(tenant), algorithm).length > 0;
  }

  return {
    async signBatch(requests) {
      if (!requests.every(isKnown)) await catchUp();
      return requests.map(signOne);
    },
    forget(subscription) {
      opened.delete(subscription);
    },
  };
}

/** A signature may cover what authorizes the request as well. */
function withHeaders(request: SignRequest, headers: readonly HeaderPair[]): SignRequest {
  const { head } = request;
  return head === undefined ? request : { ...request, head: { ...head, headers: [...head.headers, ...headers] } };
}

function firstOf(keys: readonly KeyObject[], reason: SignRefusal): SigningKeys | SignRefusal {
  const [first, ...others] = keys;
  return first === undefined ? reason : { keys: [first, ...others] };
}

function refused(reason: SignRefusal): SignReply {
  return { ok: false, reason };
}
