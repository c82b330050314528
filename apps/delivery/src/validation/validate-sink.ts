import { nextAskAtMs } from '#core/handshake/handshake-retry';
import type { HandshakeVerdict } from '#core/handshake/handshake-verdict';
import { parseRetryAfter } from '#core/delivery/retry-after';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { ValidationAnswer, ValidationAsk } from '#contracts/bus/validation';
import type { SinkAnswered } from './ask-sink.ts';

/** What the use case needs from outside. */
export interface ValidatePorts {
  /** The subscription as it is now, in the state after everything that is in REGISTRY at the call. */
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  askSink(subscription: Subscription, code: string): Promise<SinkAnswered>;
  /** Stores the answer for the registry. */
  tell(answer: ValidationAnswer): Promise<void>;
  /** Stores the timer of the next ask. */
  askAgain(ask: ValidationAsk, atMs: number): Promise<void>;
  sha256Hex(text: string): string;
  now(): number;
}

/** What became of one ask; `stale` when nobody waits for the answer any more. */
export type Validated = HandshakeVerdict['kind'] | 'stale';

/**
 * One ask: puts the question to the sink, and makes durable what follows, an answer for the registry or another ask.
 * Only when this has resolved may the message be acknowledged: a crash in between asks the sink once more.
 */
export function makeValidateSink(ports: ValidatePorts) {
  return async function validateSink(ask: ValidationAsk): Promise<Validated> {
    const codeHash = ports.sha256Hex(ask.code);
    const subscription = await ports.findSubscription(ask.tenant, ask.subscription);
    const isWanted = subscription?.validation.codeHash === codeHash && ports.now() < ask.deadlineAtMs;
    if (subscription === undefined || !isWanted) return 'stale';
    const { via, verdict } = await ports.askSink(subscription, ask.code);
    if (verdict.kind === 'unanswered') {
      const nowMs = ports.now();
      const retryAfterMs = verdict.retryAfter === undefined ? undefined : parseRetryAfter(verdict.retryAfter, nowMs);
      const atMs = nextAskAtMs(ask.ask, {
        nowMs,
        deadlineAtMs: ask.deadlineAtMs,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
      if (atMs !== undefined) {
        await ports.askAgain({ ...ask, ask: ask.ask + 1 }, atMs);
        return 'unanswered';
      }
    }
    await ports.tell({
      kind: 'answer',
      tenant: ask.tenant,
      subscription: ask.subscription,
      codeHash,
      via,
      ...said(verdict),
    });
    return verdict.kind;
  };
}

function said(verdict: HandshakeVerdict): Pick<ValidationAnswer, 'result' | 'origin' | 'allowedRate' | 'detail'> {
  switch (verdict.kind) {
    case 'granted': {
      const { kind, ...grant } = verdict;
      return { result: kind, ...grant };
    }
    case 'denied':
    case 'pending':
    case 'unsupported':
      return { result: verdict.kind, detail: verdict.detail };
    case 'unanswered':
      return { result: 'unsupported', detail: `${verdict.detail} No time was left to ask again.` };
  }
}
