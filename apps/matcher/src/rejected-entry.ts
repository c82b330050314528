import type { DeadLetter } from '#contracts/bus/facts';
import type { StoredEvent } from './stored-event.ts';

export type RejectedEntry = Extract<DeadLetter, { kind: 'rejected' }>;
export type Violation = RejectedEntry['violations'][number];

/**
 * The entry has to be storable whatever the event is, or the event comes back for ever: at most 20 violations of 3 × 300
 * characters, under 110 KiB when each is escaped as six. The whole is in EVENTS, at `eventSeq`.
 */
const VIOLATIONS_MAX_COUNT = 20;
const TEXT_MAX_CHARACTERS = 300;
/** A tenant id has at most 63; the token of a subject can be thousands, and becomes one of another subject here. */
const TENANT_MAX_CHARACTERS = 64;

/** What DEADLETTERS keeps of a message that can not be matched. */
export function rejectedEntry(
  { tenant, subject, seq, acceptedAtMs }: StoredEvent,
  violations: readonly Violation[],
  atMs: number,
): RejectedEntry {
  return {
    kind: 'rejected',
    tenant: tenant.slice(0, TENANT_MAX_CHARACTERS),
    subject: shortened(subject),
    eventSeq: seq,
    acceptedAtMs,
    violations: violations.slice(0, VIOLATIONS_MAX_COUNT).map(({ rule, pointer, detail }) => ({
      rule: shortened(rule),
      pointer: shortened(pointer),
      detail: shortened(detail),
    })),
    atMs,
  };
}

function shortened(text: string): string {
  return text.length <= TEXT_MAX_CHARACTERS ? text : `${text.slice(0, TEXT_MAX_CHARACTERS - 1)}…`;
}
