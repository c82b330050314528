import type { SecureContext } from 'node:tls';
import type { Agent } from 'undici';

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
    for (const [identity, { usedAt }] of ofIdentity) if (performance.now() - usedAt >= idleMs) giveUp(identity);
  }, idleMs);
  sweep.unref();

  function giveUp(identity: ClientIdentity): void {
    const known = ofIdentity.get(identity);
    ofIdentity.delete(identity);
    if (known !== undefined) void close(known.agents);
  }

  return {
    of(identity) {
      if (identity === undefined) return ofNobody;
      const agents = ofIdentity.get(identity)?.agents ?? make(identity);
      ofIdentity.delete(identity);
      ofIdentity.set(identity, { agents, usedAt: performance.now() });
      const [oldest] = ofIdentity.keys();
      if (ofIdentity.size > maxIdentities && oldest !== undefined) giveUp(oldest);
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
