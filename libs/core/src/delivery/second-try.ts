import type { CloudEvent } from '../event/cloud-event.ts';
import { toHttpNotification } from '../event/http-binding.ts';
import { isRenewable } from '../credential/sink-credential.ts';
import type { ContentMode, CredentialType } from '../registry/subscription.ts';
import type { OutcomeOverride, PerStatus } from './retry-policy.ts';

/** What is done otherwise since the sink refused the first form: members of the task. Each is done once in a round. */
export interface SecondTries {
  /** The mode in which the delivery travels since a 415, in place of the subscription's. */
  readonly contentModeFallback?: ContentMode;
  /** The request that was sent at this instant, Unix ms, was answered 401: the next ones go with a fresher credential. */
  readonly credentialRefusedAtMs?: number;
}

/** An HTTP request that was refused, and what could be changed about it. */
export interface Refusal {
  readonly status: number;
  /** When the request was sent, Unix ms. */
  readonly sentAtMs: number;
  readonly event: CloudEvent;
  /** The mode that was really used, see `toHttpNotification`; a batch has no other. */
  readonly sentAs: ContentMode | 'batch';
  /** Of the subscription; absent: none. */
  readonly credential?: CredentialType;
  /** What this round has tried already: members of the task. */
  readonly tried: SecondTries;
  /** `config.retry.outcomes`: a status that is named there means just what it says there. */
  readonly overrides?: PerStatus<OutcomeOverride>;
}

/**
 * What to do otherwise in a second try, at once; `undefined`: nothing. To be merged into the task of the next attempt.
 *
 * | status | when                                         | second try                                           |
 * | ------ | -------------------------------------------- | ---------------------------------------------------- |
 * | 415    | the event can be sent in the other mode      | in that mode, and so are the attempts that follow it |
 * | 401    | the credential can be refreshed              | with a fresh one                                     |
 *
 * Each once in a round: a second 415 or 401 is as permanent as it is without this.
 */
export function secondTryOf(refusal: Refusal): SecondTries | undefined {
  const { status, credential, tried, overrides } = refusal;
  if (overrides?.[String(status)] !== undefined) return undefined;
  if (status === 401 && isRenewable(credential) && tried.credentialRefusedAtMs === undefined) {
    return { credentialRefusedAtMs: refusal.sentAtMs };
  }
  const contentModeFallback = status === 415 ? fallbackOf(refusal) : undefined;
  return contentModeFallback === undefined ? undefined : { contentModeFallback };
}

/** What a task says of it; `undefined` when nothing was. */
export function triedOf({ contentModeFallback, credentialRefusedAtMs }: SecondTries): SecondTries | undefined {
  if (contentModeFallback === undefined && credentialRefusedAtMs === undefined) return undefined;
  return {
    ...(contentModeFallback === undefined ? {} : { contentModeFallback }),
    ...(credentialRefusedAtMs === undefined ? {} : { credentialRefusedAtMs }),
  };
}

/** How many of the attempts of this round were second tries. */
export function secondTryCount({ contentModeFallback, credentialRefusedAtMs }: SecondTries): number {
  return [contentModeFallback, credentialRefusedAtMs].filter((tried) => tried !== undefined).length;
}

function fallbackOf({ event, sentAs, tried }: Refusal): ContentMode | undefined {
  if (sentAs === 'batch' || tried.contentModeFallback !== undefined) return undefined;
  const other = sentAs === 'binary' ? 'structured' : 'binary';
  return toHttpNotification(event, other).mode === other ? other : undefined;
}
