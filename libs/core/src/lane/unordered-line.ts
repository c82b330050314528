import type { LaneMessage } from './lane-message.ts';

/**
 * Known messages of a lane without order, oldest event first: matchers that run side by side do not store them in the order
 * of publishing, and who was paused expects them in it.
 */
export interface UnorderedLine {
  add(message: LaneMessage): void;
  size(): number;
  /** The oldest ones, at most `count`. */
  first(count: number): readonly LaneMessage[];
  /** Takes out the oldest ones. */
  take(count: number): readonly LaneMessage[];
  /** Takes out the one that was tried least, the oldest of those: nothing that always fails comes first each time. */
  takeLeastTried(): readonly LaneMessage[];
  takeExpired(nowMs: number, count: number): readonly LaneMessage[];
  earliestDeadlineAtMs(): number;
  clear(): void;
}

export function makeUnorderedLine(): UnorderedLine {
  let waiting: LaneMessage[] = [];

  return {
    add(message) {
      let at = waiting.length;
      while (at > 0 && (waiting[at - 1]?.eventSeq ?? 0) > message.eventSeq) at--;
      waiting.splice(at, 0, message);
    },
    size: () => waiting.length,
    first: (count) => waiting.slice(0, count),
    take: (count) => waiting.splice(0, count),
    takeLeastTried() {
      let least = 0;
      for (const [at, { attempt }] of waiting.entries()) if (attempt < (waiting[least]?.attempt ?? 0)) least = at;
      return waiting.splice(least, 1);
    },
    takeExpired(nowMs, count) {
      const expired = waiting.filter((message) => nowMs > message.deadlineAtMs).slice(0, count);
      if (expired.length > 0) waiting = waiting.filter((message) => !expired.includes(message));
      return expired;
    },
    earliestDeadlineAtMs: () => earliestDeadlineOf(waiting),
    clear() {
      waiting = [];
    },
  };
}

/** `Infinity` of none. */
export function earliestDeadlineOf(messages: Iterable<LaneMessage>): number {
  let earliest = Infinity;
  for (const { deadlineAtMs } of messages) if (deadlineAtMs < earliest) earliest = deadlineAtMs;
  return earliest;
}
