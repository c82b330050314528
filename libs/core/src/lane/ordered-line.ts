import type { LaneMessage } from './lane-message.ts';
import type { LaneHead } from './lane-state.ts';
import { makeMinHeap } from './min-heap.ts';
import { earliestDeadlineOf } from './unordered-line.ts';

/** So many failed heads are remembered in the lane state; further keys then wait for one of those. */
const MAX_HEADS = 64;

/**
 * Known messages of an ordered lane: by key, and within a key by the sequence of EVENTS. A key with a message under way is
 * busy and gives no other.
 *
 * Bounded: when it knows more than `capacity`, it forgets the highest event sequences, and from then on nothing above
 * {@link OrderedLine.completeBelow} is known for sure until the lane is read from the beginning.
 */
export interface OrderedLine {
  add(message: LaneMessage): void;
  size(): number;
  /** All messages with an event sequence below this one, of those that were given, are known. */
  completeBelow(): number;
  /** The lane is going to be read from the beginning. */
  readAnew(): void;
  /**
   * The message that goes next: the lowest event sequence up to `maxEventSeq` that is the first of its key, and due.
   * It stays until {@link OrderedLine.take}.
   */
  next(nowMs: number, maxEventSeq: number): LaneMessage | undefined;
  /** Event sequence of what goes next but for its height; `Infinity` for none. */
  lowestEventSeq(nowMs: number): number;
  /** When the first of the heads is due that could go then; `Infinity` for none. */
  nextHeadDueAtMs(): number;
  /** Takes it out; its key is busy until {@link OrderedLine.release}. */
  take(message: LaneMessage): void;
  /** What `take` does, for a message that was under way before this line was made. */
  occupy(message: LaneMessage): void;
  /** What follows of a busy message is durable: the key may go on, with this message as its head if it stays. */
  release(message: LaneMessage, isKept: boolean): void;
  /** A busy message has failed and stays. */
  remember(message: LaneMessage, next: Omit<LaneHead, 'laneSeq'>): void;
  /** A busy message does not stay. */
  forgetHead(laneSeq: number): void;
  headOf(laneSeq: number): LaneHead | undefined;
  /** What the lane state has to remember. */
  heads(): readonly LaneHead[];
  /** The lane was read to its end: heads whose messages are gone are forgotten. */
  forgetLostHeads(): void;
  takeExpired(nowMs: number, count: number): readonly LaneMessage[];
  takeAny(count: number): readonly LaneMessage[];
  earliestDeadlineAtMs(): number;
}

interface KeyLine {
  readonly key: string;
  /** Ascending by event sequence. */
  waiting: LaneMessage[];
  busyCount: number;
}

interface ReadyKey {
  readonly line: KeyLine;
  readonly first: LaneMessage;
}

/** @param known heads that the lane state remembers; their messages are still to be read */
export function makeOrderedLine(
  ordering: 'subscription' | 'partitionkey',
  capacity: number,
  known: readonly LaneHead[],
): OrderedLine {
  const lines = new Map<string, KeyLine>();
  /** First messages that are no heads and whose key is free; entries that no longer hold are dropped when they are met. */
  const ready = makeMinHeap<ReadyKey>((entry) => entry.first.eventSeq);
  const laneSeqs = new Set<number>();
  const heads = new Map<number, LaneHead>(known.map((head) => [head.laneSeq, head]));
  /** Keys of the heads whose message is known. */
  const headLines = new Map<number, KeyLine>();
  let completeBelow = Infinity;
  /** Under way without being a head: each could become one. */
  let freshBusy = 0;

  const line: OrderedLine = {
    add(message) {
      if (message.eventSeq >= completeBelow || laneSeqs.has(message.laneSeq)) return;
      const of = lineOf(message);
      insert(of, message);
      if (heads.has(message.laneSeq)) headLines.set(message.laneSeq, of);
      announce(of);
      if (laneSeqs.size > capacity * 1.25) forgetHighest();
    },
    size: () => laneSeqs.size,
    completeBelow: () => completeBelow,
    readAnew() {
      completeBelow = Infinity;
    },
    next(nowMs, maxEventSeq) {
      const fresh = heads.size + freshBusy < MAX_HEADS ? firstReady() : undefined;
      const head = firstDueHead(nowMs);
      const first = fresh !== undefined && fresh.eventSeq < (head?.eventSeq ?? Infinity) ? fresh : head;
      return first !== undefined && first.eventSeq <= maxEventSeq ? first : undefined;
    },
    lowestEventSeq: (nowMs) => line.next(nowMs, Infinity)?.eventSeq ?? Infinity,
    nextHeadDueAtMs() {
      let earliest = Infinity;
      for (const [laneSeq, head] of heads) {
        const of = headLines.get(laneSeq);
        if (of !== undefined && isFirst(of, laneSeq) && head.dueAtMs < earliest) earliest = head.dueAtMs;
      }
      return earliest;
    },
    take(message) {
      remove(lineOf(message), message);
      line.occupy(message);
    },
    occupy(message) {
      const of = lineOf(message);
      of.busyCount++;
      if (heads.has(message.laneSeq)) headLines.set(message.laneSeq, of);
      else freshBusy++;
    },
    release(message, isKept) {
      const of = lineOf(message);
      of.busyCount--;
      if (isKept) insert(of, message);
      if (of.waiting.length > 0) announce(of);
      else if (of.busyCount === 0) lines.delete(of.key);
    },
    remember(message, next) {
      const { laneSeq } = message;
      if (!heads.has(laneSeq)) freshBusy--;
      heads.set(laneSeq, { laneSeq, ...next });
      headLines.set(laneSeq, lineOf(message));
    },
    forgetHead(laneSeq) {
      headLines.delete(laneSeq);
      if (!heads.delete(laneSeq)) freshBusy--;
    },
    headOf: (laneSeq) => heads.get(laneSeq),
    heads: () => [...heads.values()],
    forgetLostHeads() {
      if (completeBelow !== Infinity) return;
      for (const laneSeq of heads.keys()) if (!headLines.has(laneSeq)) heads.delete(laneSeq);
    },
    takeExpired: (nowMs, count) => takeWhere((message) => nowMs > message.deadlineAtMs, count),
    takeAny: (count) => takeWhere(() => true, count),
    earliestDeadlineAtMs() {
      let earliest = Infinity;
      for (const { waiting } of lines.values()) earliest = Math.min(earliest, earliestDeadlineOf(waiting));
      return earliest;
    },
  };
  return line;

  function lineOf(message: LaneMessage): KeyLine {
    const key = ordering === 'subscription' ? '' : message.key;
    let of = lines.get(key);
    if (of === undefined) {
      of = { key, waiting: [], busyCount: 0 };
      lines.set(key, of);
    }
    return of;
  }

  function insert({ waiting }: KeyLine, message: LaneMessage): void {
    laneSeqs.add(message.laneSeq);
    // What is read comes nearly in order.
    let low = isAfter(waiting.at(-1), message) ? 0 : waiting.length;
    let high = waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isAfter(waiting[middle], message)) high = middle;
      else low = middle + 1;
    }
    if (low === waiting.length) waiting.push(message);
    else waiting.splice(low, 0, message);
  }

  function remove({ waiting }: KeyLine, message: LaneMessage): void {
    laneSeqs.delete(message.laneSeq);
    if (waiting[0] === message) waiting.shift();
    else waiting.splice(waiting.indexOf(message), 1);
  }

  function announce(of: KeyLine): void {
    const first = of.waiting[0];
    if (first !== undefined && of.busyCount === 0 && !heads.has(first.laneSeq)) ready.push({ line: of, first });
  }

  function firstReady(): LaneMessage | undefined {
    for (let entry = ready.peek(); entry !== undefined; entry = ready.peek()) {
      const { line: of, first } = entry;
      if (of.busyCount === 0 && of.waiting[0] === first && !heads.has(first.laneSeq)) return first;
      ready.pop();
    }
    return undefined;
  }

  function isFirst(of: KeyLine, laneSeq: number): boolean {
    return of.busyCount === 0 && of.waiting[0]?.laneSeq === laneSeq;
  }

  function firstDueHead(nowMs: number): LaneMessage | undefined {
    let first: LaneMessage | undefined;
    for (const [laneSeq, { dueAtMs }] of heads) {
      const of = headLines.get(laneSeq);
      if (of === undefined || dueAtMs > nowMs || !isFirst(of, laneSeq)) continue;
      const message = of.waiting[0];
      if (message !== undefined && message.eventSeq < (first?.eventSeq ?? Infinity)) first = message;
    }
    return first;
  }

  /** Taken ones make their key busy, like {@link OrderedLine.take}. */
  function takeWhere(isWanted: (message: LaneMessage) => boolean, count: number): LaneMessage[] {
    const taken: LaneMessage[] = [];
    for (const of of lines.values()) {
      if (taken.length === count) break;
      for (const message of of.waiting) {
        if (taken.length < count && isWanted(message)) taken.push(message);
      }
    }
    for (const message of taken) line.take(message);
    return taken;
  }

  function forgetHighest(): void {
    const sorted = Float64Array.from([...lines.values()].flatMap((of) => of.waiting.map((m) => m.eventSeq))).sort();
    completeBelow = Math.min(completeBelow, sorted[capacity] ?? Infinity);
    for (const of of lines.values()) {
      while ((of.waiting.at(-1)?.eventSeq ?? -1) >= completeBelow) {
        const dropped = of.waiting.pop();
        if (dropped === undefined) break;
        headLines.delete(dropped.laneSeq);
        laneSeqs.delete(dropped.laneSeq);
      }
      if (of.waiting.length === 0 && of.busyCount === 0) lines.delete(of.key);
    }
  }
}

function isAfter(a: LaneMessage | undefined, b: LaneMessage): boolean {
  return a !== undefined && (a.eventSeq > b.eventSeq || (a.eventSeq === b.eventSeq && a.laneSeq > b.laneSeq));
}
