/**
 * An event-sourced aggregate: three pure functions. `decide` answers the events that a command causes (an empty list
 * when nothing changes) or why it is refused; `evolve` folds one event into the state. `undefined` state: not there,
 * or deleted.
 */
export interface Decider<State, Command, Event> {
  readonly initialState: undefined;
  decide(command: Command, state: State | undefined, context: CommandContext): Decision<Event>;
  evolve(state: State | undefined, event: Event): State | undefined;
}

/** Who commands, and when: values, so that the same command decides the same way twice. */
export interface CommandContext {
  readonly nowMs: number;
  /** `admin`, or the id of the API key. */
  readonly by: string;
}

export type Decision<Event> =
  { readonly ok: true; readonly events: readonly Event[] } | { readonly ok: false; readonly refusal: Refusal };

/** Why a command is refused: a code that the edge maps to a status. */
export type Refusal = {
  readonly code: 'not_found' | 'already_exists' | 'tenant_unknown' | 'conflict';
  readonly detail: string;
};
