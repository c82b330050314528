import {
  decodeClientCertificateReply,
  type ClientCertificateReply,
  type ClientCertificateRequest,
} from '#contracts/bus/client-certificate';
import { usesClientCertificate } from '#core/credential/authorization';
import { tokenUse } from '#core/credential/token-use';
import { timestampToUnixMs } from '#core/event/timestamp';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { keepLatest } from '#platform/keep-latest';
import { SignatureRefused, SignerUnavailable } from './sign-client.ts';

export interface ClientIdentityPorts<Identity> {
  /** One question on the certificate subject. Rejects when there is no answer in time. */
  request(payload: Uint8Array): Promise<Uint8Array>;
  /** Throws when the PEM can not be used. */
  makeIdentity(pem: Uint8Array): Identity;
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** Kept at a time, 0.1 MB each. */
const IDENTITIES_MAX = 1000;
const ASKED_MAX = 5;
const PAUSE_MS = 1000;

interface Kept<Identity> {
  /** The credential that it is made of, and the address that it was given for. */
  readonly sealed: string;
  readonly sink: string;
  readonly identity: Promise<Identity>;
}

/**
 * Whom a subscription's requests prove to be by TLS: its client certificate, which the signer gives once and which is kept
 * while it is used and the same. Its key is wiped as soon as OpenSSL has it.
 */
export function makeClientIdentities<Identity>(ports: ClientIdentityPorts<Identity>) {
  const kept = new Map<SubscriptionId, Kept<Identity>>();

  /**
   * @returns undefined when the subscription wants none
   * @throws SignatureRefused there is none that can be used; it may be over (SA-10)
   * @throws SignerUnavailable nothing is wrong with the delivery, it has to wait
   */
  async function identityOf(subscription: Subscription): Promise<Identity | undefined> {
    const { id, sealedCredential: sealed, spec } = subscription;
    if (!usesClientCertificate(spec)) return undefined;
    const { certificateexpiresutc: expiresUtc = '' } = spec.sinkcredential ?? {};
    const expiresAtMs = timestampToUnixMs(expiresUtc) ?? -Infinity;
    if (tokenUse({ expiresAtMs }, { nowMs: ports.now() }) === 'expired') {
      kept.delete(id);
      const detail = `the client certificate of the sink credential expires at ${expiresUtc}; replace it, then resume`;
      throw new SignatureRefused('credential_expired', { subscription: id }, detail);
    }
    if (sealed === undefined) throw new SignatureRefused('unseal_failed', { subscription: id });
    const known = kept.get(id);
    const isKnown = known?.sealed === sealed && known.sink === spec.sink;
    const identity = isKnown ? known.identity : fetchIdentity(subscription, sealed);
    keep(id, { sealed, sink: spec.sink, identity });
    return identity;
  }

  /** The one that was used last is the last to go. */
  function keep(id: SubscriptionId, one: Kept<Identity>): void {
    keepLatest(kept, id, one, IDENTITIES_MAX);
    // What failed is asked for again by the next.
    one.identity.catch(() => {
      if (kept.get(id)?.identity === one.identity) kept.delete(id);
    });
  }

  async function fetchIdentity({ id, tenant, spec }: Subscription, sealed: string): Promise<Identity> {
    const reply = await ask({ tenant, subscription: id, sink: spec.sink, sealed });
    if (!reply.ok) throw new SignatureRefused(reply.reason, { subscription: id }, reply.detail);
    try {
      return ports.makeIdentity(reply.pem);
    } catch (cause) {
      const { code = 'unknown' } = cause as NodeJS.ErrnoException;
      throw new SignatureRefused(
        'unseal_failed',
        { subscription: id },
        `OpenSSL does not take its certificate (${code})`,
      );
    } finally {
      reply.pem.fill(0);
    }
  }

  async function ask(question: ClientCertificateRequest): Promise<ClientCertificateReply> {
    const payload = new TextEncoder().encode(JSON.stringify(question));
    for (let asked = 1; ; asked++) {
      try {
        return decodeClientCertificateReply(await ports.request(payload));
      } catch (cause) {
        if (asked >= ASKED_MAX) throw new SignerUnavailable(asked * PAUSE_MS, { cause });
        await ports.sleep(PAUSE_MS);
      }
    }
  }

  return {
    identityOf,
    /** Drops what a subscription that changed has no more, and what is not used while nothing is sent. */
    forget(id: SubscriptionId, now: Subscription | undefined): void {
      const known = kept.get(id);
      const isSame = known?.sealed === now?.sealedCredential && known?.sink === now?.spec.sink;
      if (!isSame || now?.state !== 'active') kept.delete(id);
    },
  };
}
