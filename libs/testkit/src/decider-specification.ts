import { expect } from '@jest/globals';
import type { CommandContext, Decider, Refusal } from '#core/registry/decider';

/** What a decider is told about the command when a test does not care. */
export const ANY_CONTEXT: CommandContext = { nowMs: 1_700_000_000_000, by: 'admin' };

/**
 * A decider's behaviour as sentences: `given([past]).when(command).then([new events])`, `.thenNothing()` or
 * `.thenRefused(code)`.
 */
export function specificationOf<State, Command, Event>(decider: Decider<State, Command, Event>) {
  const fold = (events: readonly Event[]): State | undefined =>
    events.reduce<State | undefined>((state, event) => decider.evolve(state, event), decider.initialState);

  return {
    fold,
    given: (past: readonly Event[]) => ({
      when: (command: Command, context: CommandContext = ANY_CONTEXT) => {
        const decision = decider.decide(command, fold(past), context);
        return {
          then: (events: readonly Event[]) => expect(decision).toEqual({ ok: true, events }),
          thenNothing: () => expect(decision).toEqual({ ok: true, events: [] }),
          thenRefused: (code: Refusal['code']) =>
            expect(decision).toEqual({ ok: false, refusal: { code, detail: expect.any(String) } }),
        };
      },
    }),
  };
}
