import type { Slots } from '#bus/slots';

/** A line that is moving is left alone: bursts of a healthy subscription are longer than its share. */
const PATIENCE_MS = 250;
const LOOK_MS = 50;
/** Who comes after these still counts among those that stand in the way of others, so that no more are pulled. */
const LINE_PER_SHARE = 2;
/** A request that takes longer no longer counts among those that share the slots of its road. */
const SLOW_AFTER_MS = 1_000;

/**
 * What came of waiting at the door. `full`: the line has become too long for too long, and this one is over. `lane`: its
 * subscription goes by the lane now. `closed`: the process stops.
 */
export type Turn = 'go' | 'full' | 'lane' | 'closed';

/** A place among the requests of a subscription and a slot of a road. */
export interface Ticket {
  readonly enteredAtMs: number;
  /** The request has ended: the next one of the subscription may start. The slot is kept while the attempt is settled. */
  requestEnded(): void;
  /** Gives the slot back, and the place if that was not done before. A second call does nothing. */
  leave(): void;
}

export interface Door {
  /**
   * Asks for a place among the requests of `key` and for a slot of its road. `full`: too many wait already, this one has
   * to go by the lane. Without a promise when nothing has to be waited for.
   *
   * @param onQueued called when it has to wait for others of its key, not many of them: whoever comes after it need not
   */
  enter(key: string, share: number, slots: Slots, onQueued: () => void): Ticket | 'full' | Promise<Ticket | Turn>;
  /** Those of `key` that wait are told to go by the lane. */
  sendToLane(key: string): void;
  /** Requests of `key` from common roads in this process. */
  inFlight(key: string): number;
  /** Messages that wait for their turn, of all subscriptions. */
  waiting(): number;
  /** Everybody who waits is told to go home; nobody comes in any more. */
  close(): void;
}

interface Waiter {
  readonly slots: Slots;
  readonly sinceMs: number;
  tell(turn: Turn): void;
}

interface Queue {
  inFlight: number;
  share: number;
  readonly line: Waiter[];
}

/** What a ticket holds now. */
interface Entry extends Ticket {
  readonly slots: Slots;
}

/**
 * Who may send now, by subscription: at most `share` requests each, a short line behind them, first come first served. A
 * message in line holds no slot, so that a sink which hangs takes no more of a road than its share.
 *
 * A line is full when it has twice the share and its first has waited for 250 ms: a sink that answers in 2 ms empties a
 * burst of hundreds before that, one that hangs does not. Until then nothing more is pulled than may wait here.
 *
 * @param slow where requests that take longer than a second are counted instead of among the slots of their road
 * @param now monotonic milliseconds
 */
export function makeDoor({ slow, now }: { readonly slow: Slots; now(): number }): Door {
  const queues = new Map<string, Queue>();
  const running = new Set<Entry>();
  const slowOnes = new Set<Entry>();
  let waiting = 0;
  let isClosed = false;
  const watch = setInterval(() => {
    moveSlow();
    for (const queue of queues.values()) if (isFull(queue)) dismiss(queue, 'full', LINE_PER_SHARE * queue.share);
  }, LOOK_MS);
  watch.unref();

  function enter(
    key: string,
    share: number,
    slots: Slots,
    onQueued: () => void,
  ): Ticket | 'full' | Promise<Ticket | Turn> {
    if (isClosed) return Promise.resolve('closed');
    const queue = queueOf(key);
    queue.share = share;
    if (queue.inFlight < share && queue.line.length === 0) {
      queue.inFlight++;
      return slots.tryAcquire() ? issue(key, slots) : takeSlot(key, slots);
    }
    if (isFull(queue)) return 'full';
    if (queue.line.length < LINE_PER_SHARE * share) onQueued();
    return standInLine(key, queue, slots);
  }

  function queueOf(key: string): Queue {
    let queue = queues.get(key);
    if (queue === undefined) queues.set(key, (queue = { inFlight: 0, share: 1, line: [] }));
    return queue;
  }

  function isFull({ line, share }: Queue): boolean {
    const [first] = line;
    return first !== undefined && line.length >= LINE_PER_SHARE * share && now() - first.sinceMs > PATIENCE_MS;
  }

  async function standInLine(key: string, queue: Queue, slots: Slots): Promise<Ticket | Turn> {
    waiting++;
    const { promise, resolve } = Promise.withResolvers<Turn>();
    queue.line.push({ slots, sinceMs: now(), tell: resolve });
    const turn = await promise;
    waiting--;
    return turn === 'go' ? takeSlot(key, slots) : turn;
  }

  /** The place among the requests of its subscription is taken already. */
  async function takeSlot(key: string, slots: Slots): Promise<Ticket | Turn> {
    waiting++;
    await slots.acquire();
    waiting--;
    const ticket = issue(key, slots);
    if (!isClosed) return ticket;
    ticket.leave();
    return 'closed';
  }

  function issue(key: string, slots: Slots): Ticket {
    let hasEnded = false;
    let hasLeft = false;
    const requestEnded = (): void => {
      if (!hasEnded) letNextIn(key);
      hasEnded = true;
    };
    const entry: Entry = {
      slots,
      enteredAtMs: now(),
      requestEnded,
      leave() {
        if (hasLeft) return;
        hasLeft = true;
        requestEnded();
        running.delete(entry);
        if (slowOnes.delete(entry)) slow.release();
        else slots.release();
      },
    };
    running.add(entry);
    return entry;
  }

  function letNextIn(key: string): void {
    const queue = queues.get(key);
    if (queue === undefined) return;
    queue.inFlight--;
    while (queue.inFlight < queue.share) {
      const next = queue.line.shift();
      if (next === undefined) break;
      queue.inFlight++;
      next.tell('go');
    }
    if (queue.inFlight === 0 && queue.line.length === 0) queues.delete(key);
  }

  /** In order of entry, so the first that is quick ends it. */
  function moveSlow(): void {
    const enteredBefore = now() - SLOW_AFTER_MS;
    for (const entry of running) {
      if (entry.enteredAtMs > enteredBefore || !slow.tryAcquire()) return;
      running.delete(entry);
      slowOnes.add(entry);
      entry.slots.release();
    }
  }

  /** All but the first `keep`. */
  function dismiss(queue: Queue, turn: Turn, keep = 0): void {
    for (const waiter of queue.line.splice(keep)) waiter.tell(turn);
  }

  return {
    enter,
    sendToLane(key) {
      const queue = queues.get(key);
      if (queue !== undefined) dismiss(queue, 'lane');
    },
    inFlight: (key) => queues.get(key)?.inFlight ?? 0,
    waiting: () => waiting,
    close() {
      isClosed = true;
      clearInterval(watch);
      for (const queue of queues.values()) dismiss(queue, 'closed');
    },
  };
}
