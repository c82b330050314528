/** A delivery as it waits in LANES: what the holder has to know of it to decide when it goes. */
export interface LaneMessage {
  /** Sequence in LANES. */
  readonly laneSeq: number;
  /** Sequence of the event in EVENTS: the publish order. */
  readonly eventSeq: number;
  /** Value of `partitionkey`, '' without one: those share a key. */
  readonly key: string;
  /** Of the event as a member of a batch. */
  readonly bytes: number;
  /** Number of the attempt that the message asks for, from 1. */
  readonly attempt: number;
  readonly deadlineAtMs: number;
  /** When LANES stored it. */
  readonly storedAtMs: number;
}
