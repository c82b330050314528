import type { AggregateKind, RegistryRecord } from '#contracts/bus/registry-record';
import type { Decider, Refusal } from '#core/registry/decider';
import { makeInTurn } from './in-turn.ts';

/** One aggregate: how it decides, where its state is and how its events are written. */
export interface Aggregate<State, Command, Event> {
  readonly kind: AggregateKind;
  readonly tenant: string;
  readonly id: string;
  readonly decider: Decider<State, Command, Event>;
  /** The state in the fold of REGISTRY, as far as it has come. */
  read(): State | undefined;
  toRecord(event: Event): RegistryRecord;
}

export interface CommandPorts {
  registrySubject(tenant: string, aggregate: string, id: string): string;
  /** Sequence of the newest message on a subject that the fold has seen; 0 for none. */
  lastSeqOf(subject: string): number;
  /** Resolves when the fold has everything that was in REGISTRY at the call. */
  catchUp(): Promise<void>;
  append(subject: string, record: RegistryRecord, expectedLastSubjectSeq: number): Promise<void>;
  /** True when `append` failed because somebody else wrote first. */
  isConflict(error: unknown): boolean;
  now(): number;
}

export type Executed<State> =
  | {
      readonly kind: 'done';
      readonly before: State | undefined;
      readonly after: State | undefined;
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** Others won every time. Nothing was written. */
  | { readonly kind: 'conflict' };

/** Runs a command on an aggregate. `commandFor` is asked anew for the state of every try. */
export type ExecuteCommand = <State, Command, Event>(
  aggregate: Aggregate<State, Command, Event>,
  by: string,
  commandFor: (state: State | undefined) => Command | Promise<Command>,
) => Promise<Executed<State>>;

/**
 * Losing needs a writer in another process, as those here take turns: with two processes that both write without pause,
 * one in a thousand commands loses ten times.
 */
const MAX_TRIES = 10;

/**
 * Catch up, decide on the folded state, append with the sequence that the state was folded from as expectation; once
 * more when somebody was faster. A command is one message or none, so it is applied as a whole or not at all.
 */
export function makeExecuteCommand(ports: CommandPorts): ExecuteCommand {
  const inTurn = makeInTurn();

  return (aggregate, by, commandFor) => {
    const subject = ports.registrySubject(aggregate.tenant, aggregate.kind, aggregate.id);
    return inTurn(subject, async () => {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        await ports.catchUp();
        const executed = await tryOnce(subject, aggregate, by, commandFor);
        if (executed.kind !== 'conflict') return executed;
      }
      return { kind: 'conflict' };
    });
  };

  async function tryOnce<State, Command, Event>(
    subject: string,
    aggregate: Aggregate<State, Command, Event>,
    by: string,
    commandFor: (state: State | undefined) => Command | Promise<Command>,
  ): Promise<Executed<State>> {
    const before = aggregate.read();
    const expected = ports.lastSeqOf(subject);
    const decision = aggregate.decider.decide(await commandFor(before), before, { nowMs: ports.now(), by });
    if (!decision.ok) return { kind: 'refused', refusal: decision.refusal };
    const [event, ...more] = decision.events;
    if (event === undefined) return { kind: 'done', before, after: before };
    if (more.length > 0) throw new Error(`a command on ${subject} caused ${more.length + 1} events; one is the limit`);
    try {
      await ports.append(subject, aggregate.toRecord(event), expected);
    } catch (error) {
      if (ports.isConflict(error)) return { kind: 'conflict' };
      throw error;
    }
    await settle();
    return { kind: 'done', before, after: aggregate.decider.evolve(before, event) };
  }

  /**
   * So that the next request here, such as one with a key that was just revoked, sees the change. The change itself is
   * durable by now: when the bus goes away in this moment, the answer is still that it was made.
   */
  async function settle(): Promise<void> {
    await ports.catchUp().catch(() => undefined);
  }
}
