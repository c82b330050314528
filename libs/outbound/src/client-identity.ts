import type { SecureContext } from 'node:tls';
import type { Agent } from 'undici';

/** Whom a client proves to be, ready for use. The key is in OpenSSL's memory alone. */
export interface ClientIdentity {
  readonly secureContext: SecureContext;
}

/** Connections of one identity: through the guard, and to what is exempt from it. */
export interface Agents {
  readonly guarded: Agent;
  readonly exempt: Agent;
}

/**
 * Connections and sessions of TLS belong to whom they were opened as: a request of another subscription on them would be
 * taken for the first one's. So each identity has agents of its own, from its first request on until it had none for
 * {@link options.idleMs}; then their connections are long over.
 */
export function makeAgentsOf(make: (identity?: ClientIdentity) => Agents, { idleMs }: { readonly idleMs: number }) {
  const ofNobody = make();
  const ofIdentity = new Map<ClientIdentity, Agents & { lastUsedAt: number }>();
  const sweep = setInterval(() => {
    for (const [identity, agents] of ofIdentity) {
      if (performance.now() - agents.lastUsedAt < idleMs) continue;
      ofIdentity.delete(identity);
      void close(agents);
    }
  }, idleMs);
  sweep.unref();

  return {
    of(identity: ClientIdentity | undefined): Agents {
      if (identity === undefined) return ofNobody;
      const known = ofIdentity.get(identity);
      if (known !== undefined) {
        known.lastUsedAt = performance.now();
        return known;
      }
      const made = { ...make(identity), lastUsedAt: performance.now() };
      ofIdentity.set(identity, made);
      return made;
    },
    /** Waits for what is in flight. */
    async close(): Promise<void> {
      clearInterval(sweep);
      await Promise.all([ofNobody, ...ofIdentity.values()].map(close));
    },
  };
}

async function close({ guarded, exempt }: Agents): Promise<void> {
  await Promise.all([guarded.close(), exempt.close()]);
}
