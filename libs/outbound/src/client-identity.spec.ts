import { expect, jest, test } from '@jest/globals';
import { makeAgentsOf, type ClientIdentity } from './client-identity.ts';

const anIdentity = (): ClientIdentity => ({ secureContext: { context: {} } });

/** Agents that tell who has been closed. */
function someAgents(maxIdentities: number) {
  const made: (ClientIdentity | undefined)[] = [];
  const closed: (ClientIdentity | undefined)[] = [];
  const agents = makeAgentsOf(
    (identity) => {
      made.push(identity);
      const close = () => Promise.resolve(void closed.push(identity));
      const dispatch = () => true;
      return { guarded: { close, dispatch } as never, exempt: { close: () => Promise.resolve(), dispatch } as never };
    },
    { maxIdentities, idleMs: 60_000 },
  );
  return { ...agents, made, closed };
}

test('no more identities have connections than permitted: the one used least recently gives its own up', async () => {
  const { of, close, made, closed } = someAgents(2);
  const [a, b, c] = [anIdentity(), anIdentity(), anIdentity()];
  const ofA = of(a);
  of(b);
  expect(of(a)).toBe(ofA);
  of(c);
  expect(closed).toEqual([b]);
  of(b);
  expect(closed).toEqual([b, a]);
  expect(of(undefined)).toBe(of(undefined));
  expect(made).toEqual([undefined, a, b, c, b]);
  await close();
  expect(closed).toEqual([b, a, undefined, c, b]);
});

test('an identity that is not used any more has none', async () => {
  jest.useFakeTimers();
  try {
    const { of, close, closed } = someAgents(2);
    const [a, b] = [anIdentity(), anIdentity()];
    of(a);
    of(b);
    jest.advanceTimersByTime(59_999);
    of(b);
    jest.advanceTimersByTime(1);
    expect(closed).toEqual([a]);
    jest.advanceTimersByTime(60_000);
    expect(closed).toEqual([a, b]);
    await close();
  } finally {
    jest.useRealTimers();
  }
});
