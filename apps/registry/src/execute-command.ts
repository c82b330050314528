import type { AggregateKind, RegistryRecord } from '#contracts/bus/registry-record';
import type { Decider, Refusal } from '#core/registry/decider';
import type { Caller } from '#platform/authenticate';
import { makeInTurn } from '#platform/in-turn';

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
  /** @param id `*` for all of the kind */
  registrySubject(tenant: string, aggregate: string, id: string): string;
  /** Sequence of the newest message that the fold has seen on a subject, or on all of a kind; 0 for none. */
  lastSeqOf(subject: string): number;
  /** Resolves when the fold has everything that was in REGISTRY at the call. */
  catchUp(): Promise<void>;
  append(subject: string, record: RegistryRecord, expected: Expected): Promise<void>;
  /** True when `append` failed because somebody else wrote first. */
  isConflict(error: unknown): boolean;
  now(): number;
}

/** What has to be so still when a record is written. */
export interface Expected {
  /** That of the record, or of all that the decision depends on. */
  readonly subject: string;
  /** Sequence of the newest message there; 0 for none. */
  readonly lastSeq: number;
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

export interface CommandOptions {
  /**
   * True when the decision depends on the tenant's others of the same kind too: a record of any of them in between counts
   * as a conflict. Not those of all tenants: of 40 tenants that made their first key at once, 16 lost ten times.
   */
  readonly isExclusive?: boolean;
}

/**
 * Asked anew for the state of every try. Without a command nothing is done. What it looks up in the
 * fold before its first `await` is of the same moment as the state.
 */
export type CommandFor<State, Command> = (
  state: State | undefined,
) => Command | undefined | Promise<Command | undefined>;

/** Runs a command on an aggregate. Who calls, and from where, stands in the record. */
export type ExecuteCommand = <State, Command, Event>(
  aggregate: Aggregate<State, Command, Event>,
  caller: Caller,
  commandFor: CommandFor<State, Command>,
  options?: CommandOptions,
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

  return (aggregate, caller, commandFor, options = {}) => {
    const { tenant, kind, id } = aggregate;
    const subject = ports.registrySubject(tenant, kind, id);
    const dependsOn = options.isExclusive === true ? ports.registrySubject(tenant, kind, '*') : subject;
    return inTurn(dependsOn, async () => {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        await ports.catchUp();
        const executed = await tryOnce({ subject, dependsOn }, aggregate, caller, commandFor);
        if (executed.kind !== 'conflict') return executed;
      }
      return { kind: 'conflict' };
    });
  };

  async function tryOnce<State, Command, Event>(
    { subject, dependsOn }: { readonly subject: string; readonly dependsOn: string },
    aggregate: Aggregate<State, Command, Event>,
    caller: Caller,
    commandFor: CommandFor<State, Command>,
  ): Promise<Executed<State>> {
    const before = aggregate.read();
    const expected = { subject: dependsOn, lastSeq: ports.lastSeqOf(dependsOn) };
    const command = await commandFor(before);
    if (command === undefined) return { kind: 'done', before, after: before };
    const decision = aggregate.decider.decide(command, before, { nowMs: ports.now(), by: caller.by });
    if (!decision.ok) return { kind: 'refused', refusal: decision.refusal };
    const [event, ...more] = decision.events;
    if (event === undefined) return { kind: 'done', before, after: before };
    if (more.length > 0) throw new Error(`a command on ${subject} caused ${more.length + 1} events; one is the limit`);
    try {
      const { from } = caller;
      const record = aggregate.toRecord(event);
      await ports.append(subject, from === undefined ? record : { ...record, from }, expected);
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
