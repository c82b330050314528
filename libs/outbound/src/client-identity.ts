import type { SecureContext } from 'node:tls';
import type { Agent } from 'undici';
import { keepLatest } from '#platform/keep-latest';

/** Whom a client proves to be, ready for use. The key is in OpenSSL's memory alone. */
export interface ClientIdentity {
  readonly secureContext: SecureContext;
}

/** Connections of one identity: through the guard, and to what is exempt from it. */
export interface Agents {
  readonly guarded: Pick<Agent, 'dispatch' | 'close'>;
  readonly exempt: Pick<Agent, 'dispatch' | 'close'>;
}

export interface AgentsOptions {
  /** Identities that have connections at a time; the one that was used least recently has to go. */
  readonly maxIdentities: number;
  /** Without a request for so long its connections are over. */
  readonly idleMs: number;
}

/**
 * Connections and sessions of TLS belong to whom they were opened as: a request of another subscription on them would be
 * taken for the first one's. So each identity has agents of its own while it is used. Agents that are given up end what they
 * have begun; their identity gets others with its next request.
 */
export function makeAgentsOf(
  make: (identity?: ClientIdentity) => Agents,
  { maxIdentities, idleMs }: AgentsOptions,
): { of(identity: ClientIdentity | undefined): Agents; close(): Promise<void> } {
  const ofNobody = make();
  /** The one that was used last is the last. */
  const ofIdentity = new Map<ClientIdentity, { readonly agents: Agents; readonly usedAt: number }>();
  const sweep = setInterval(() => {
    for (const [identity, { agents, usedAt }] of ofIdentity) {
      if (performance.now() - usedAt < idleMs) continue;
      ofIdentity.delete(identity);
      void close(agents);
    }
  }, idleMs);
  sweep.unref();

  return {
    of(identity) {
      if (identity === undefined) return ofNobody;
      const agents = ofIdentity.get(identity)?.agents ?? make(identity);
      const dropped = keepLatest(ofIdentity, identity, { agents, usedAt: performance.now() }, maxIdentities);
      if (dropped !== undefined) void close(dropped.agents);
      return agents;
    },
    /** Waits for what is in flight. */
    async close() {
      clearInterval(sweep);
      await Promise.all([ofNobody, ...[...ofIdentity.values()].map(({ agents }) => agents)].map(close));
    },
  };
}

async function close({ guarded, exempt }: Agents): Promise<void> {
  await Promise.all([guarded.close(), exempt.close()]);
}
