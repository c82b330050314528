import type { ValidationAnswer } from '#contracts/bus/validation';
import { parseAllowedRate } from '#core/handshake/allowed-rate';
import { isCallbackCode, judgeCallback } from '#core/handshake/callback-code';
import { isSubscriptionId, type SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';

/** What the use case needs from outside. */
export interface ConfirmPorts {
  /** In the fold as it is. */
  subscriptionById(id: SubscriptionId): Subscription | undefined;
  /** Resolves when the fold has everything that was in REGISTRY at the call. */
  catchUp(): Promise<void>;
  /** Stores the grant for the registry; the same one again is stored once. */
  tell(answer: ValidationAnswer): Promise<void>;
  sha256Hex(text: string): string;
  /** In constant time. */
  isEqual(a: string, b: string): boolean;
  now(): number;
}

export interface ConfirmRequest {
  readonly subscription: string;
  readonly code: string | undefined;
  /** Value of `WebHook-Allowed-Rate`. */
  readonly allowedRate: string | undefined;
}

export type Confirmation =
  { readonly kind: 'confirmed' } | { readonly kind: 'not_found' } | { readonly kind: 'invalid_rate' };

/**
 * The callback of a sink, or of somebody who opens the link for it (WH-15). What is wrong with a code is told to nobody:
 * unknown, used for something else, replaced and expired are all the same.
 *
 * @param origin that the sink was asked to allow
 */
export function makeConfirmValidation(ports: ConfirmPorts, { origin }: { origin: string }) {
  return async function confirmValidation(request: ConfirmRequest): Promise<Confirmation> {
    const { subscription: id, code } = request;
    if (!isSubscriptionId(id) || code === undefined || !isCallbackCode(code)) return { kind: 'not_found' };
    const codeHash = ports.sha256Hex(code);
    const subscription = await findAsked(id, codeHash);
    if (subscription === undefined || isOver(subscription)) return { kind: 'not_found' };
    switch (judgeCallback(subscription.validation, ports.now())) {
      case 'refused':
        return { kind: 'not_found' };
      case 'granted_before':
        return { kind: 'confirmed' };
      case 'grants':
        return grant(subscription, codeHash, request.allowedRate);
    }
  };

  async function findAsked(id: SubscriptionId, codeHash: string): Promise<Subscription | undefined> {
    const known = ports.subscriptionById(id);
    if (known !== undefined && wasAsked(known, codeHash)) return known;
    await ports.catchUp();
    const now = ports.subscriptionById(id);
    return now !== undefined && wasAsked(now, codeHash) ? now : undefined;
  }

  function wasAsked({ validation }: Subscription, codeHash: string): boolean {
    return ports.isEqual(validation.codeHash ?? '', codeHash);
  }

  async function grant(
    subscription: Subscription,
    codeHash: string,
    rateText: string | undefined,
  ): Promise<Confirmation> {
    const { requestedRate } = subscription.spec.config.validation;
    const allowedRate = rateText === undefined ? requestedRate : parseAllowedRate(rateText);
    if (rateText !== undefined && allowedRate === undefined) return { kind: 'invalid_rate' };
    await ports.tell({
      kind: 'answer',
      tenant: subscription.tenant,
      subscription: subscription.id,
      codeHash,
      result: 'granted',
      via: 'callback',
      origin,
      ...(allowedRate === undefined ? {} : { allowedRate }),
    });
    return { kind: 'confirmed' };
  }
}

function isOver({ state }: Subscription): boolean {
  return state === 'expired' || state === 'retired';
}
