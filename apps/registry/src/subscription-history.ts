import type { RegistryRecord } from '#contracts/bus/registry-record';
import { subscriptionToResource } from '#contracts/http/subscription-resource';
import { jsonPointer } from '#contracts/http/violations';
import { subscriptionDecider } from '#core/registry/subscription-decider';
import type { Subscription, SubscriptionEvent } from '#core/registry/subscription';

/** One step in the life of a subscription: who, when, and what changed. */
export interface HistoryEntry {
  /** From 1. */
  readonly step: number;
  readonly at: string;
  /** `admin`, the id of an API key, or the part of the service that did it. */
  readonly by: string;
  /** Address of the client. Absent: no client asked, or it is from before this was kept. */
  readonly from?: string;
  readonly what: (typeof WHAT)[SubscriptionEvent['kind']];
  readonly reason?: string;
  /** In the order of the pointers; not told of the first step and the last one, which change everything. */
  readonly changes?: readonly HistoryChange[];
}

export interface HistoryChange {
  /** Into the subscription as `GET` shows it. */
  readonly pointer: string;
  /** Absent: it was not there. Secrets are never told, only that they changed. */
  readonly before?: unknown;
  readonly after?: unknown;
}

export const WHAT = {
  SubscriptionCreated: 'created',
  SubscriptionReplaced: 'changed',
  SubscriptionDeleted: 'deleted',
  SubscriptionPaused: 'paused',
  SubscriptionResumed: 'resumed',
  SubscriptionDisabled: 'disabled',
  SubscriptionRetired: 'retired',
  SubscriptionExpired: 'expired',
  SecretRotated: 'secret-rotated',
  SecretsResealed: 'secrets-resealed',
  CredentialRefreshed: 'credential-refreshed',
  ValidationRequested: 'validation-requested',
  ValidationRecorded: 'validation-recorded',
} as const satisfies Record<SubscriptionEvent['kind'], string>;

/** The whole history, oldest first, from all messages of the subject. */
export function historyOf(messages: Iterable<Uint8Array>): readonly HistoryEntry[] {
  const decoder = new TextDecoder();
  const entries: HistoryEntry[] = [];
  let state: Subscription | undefined;
  for (const data of messages) {
    const record = JSON.parse(decoder.decode(data)) as RegistryRecord;
    if (record.aggregate !== 'subscription') continue;
    const after = subscriptionDecider.evolve(state, record.event);
    entries.push(entryOf(record, entries.length + 1, state, after));
    state = after;
  }
  return entries;
}

function entryOf(
  { event, from }: { readonly event: SubscriptionEvent; readonly from?: string },
  step: number,
  before: Subscription | undefined,
  after: Subscription | undefined,
): HistoryEntry {
  const { kind, atMs, by } = event;
  const reason = 'reason' in event ? event.reason : undefined;
  const isWithin = before !== undefined && after !== undefined;
  return {
    step,
    at: new Date(atMs).toISOString(),
    by,
    ...(from === undefined ? {} : { from }),
    what: WHAT[kind],
    ...(reason === undefined ? {} : { reason }),
    ...(isWithin ? { changes: [...changedSecrets(event), ...changesBetween(before, after)] } : {}),
  };
}

function changedSecrets(event: SubscriptionEvent): readonly HistoryChange[] {
  if (event.kind === 'SecretRotated') return [{ pointer: '/config/signature/secret' }];
  if (event.kind === 'CredentialRefreshed') return [{ pointer: '/sinkcredential' }];
  if (event.kind !== 'SubscriptionReplaced') return [];
  return [
    ...(event.sealedSecret === undefined ? [] : [{ pointer: '/config/signature/secret' }]),
    ...(event.sealedCredential === undefined ? [] : [{ pointer: '/sinkcredential' }]),
  ];
}

function changesBetween(before: Subscription, after: Subscription): readonly HistoryChange[] {
  const { updatedAt: _then, ...old } = subscriptionToResource(before);
  const { updatedAt: _now, ...current } = subscriptionToResource(after);
  return [...differences(old, current, [])];
}

/** Members of objects one by one, everything else as a whole. */
function* differences(before: unknown, after: unknown, path: readonly string[]): Iterable<HistoryChange> {
  if (isObject(before) && isObject(after)) {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
      yield* differences(before[name], after[name], [...path, name]);
    }
  } else if (JSON.stringify(before) !== JSON.stringify(after)) {
    yield {
      pointer: jsonPointer(path),
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    };
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
