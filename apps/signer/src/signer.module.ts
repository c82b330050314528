import { Inject, Module, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { serve, type Serving } from '#bus/request';
import type { SealRequest } from '#contracts/bus/seal';
import { decodeSignRequests, encodeSignReplies } from '#contracts/bus/sign';
import { randomBytes } from '#platform/digest';
import type { Logger } from '#platform/logger';
import { CONFIG, LOGGER, METRICS } from '#platform/tokens';
import { checkMasterKey } from './check-master-key.ts';
import type { SignerConfig } from './config.ts';
import { makeMasterKey, parseMasterKey, type MasterKey } from './master-key.ts';
import { makeSealCredential, makeSealSecret } from './seal-secret.ts';
import { makeSigning } from './sign-batch.ts';
import { makeSignerMetrics } from './signer.metrics.ts';

const QUEUE = 'signer';

/**
 * The only holder of secrets: answers "sign these" and "seal this" on the bus.
 *
 * A transport of Nest's own (`@MessagePattern` over a custom strategy) was measured: 4.8 µs more per batch, which is
 * nothing. But a transport belongs to an application, not to a module: every process that hosts the signer would have to
 * connect it and place it in the order of shutdown. Like this, importing the module is all.
 */
@Module({})
export class SignerModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #bus: Bus;
  readonly #snapshot: RegistrySnapshot;
  readonly #logger: Logger;
  readonly #metrics: MetricsRegistry;
  readonly #masterKey: MasterKey;
  #serving: readonly Serving[] = [];

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot,
    @Inject(CONFIG) config: SignerConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(METRICS) metrics: MetricsRegistry,
  ) {
    this.#bus = bus;
    this.#snapshot = snapshot;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#masterKey = makeMasterKey(parseMasterKey(config.POSTHASTE_MASTER_KEY) ?? new Uint8Array());
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#checkMasterKey();
    const { signSubject, sealSubject } = this.#bus.topology;
    this.#serving = [
      serve(this.#bus, { subject: signSubject, queue: QUEUE }, this.#makeAnswerSign()),
      serve(this.#bus, { subject: sealSubject, queue: QUEUE }, this.#makeAnswerSeal()),
    ];
    await this.#bus.nc.flush(); // ready means that the server knows of us
  }

  /** After every `onModuleDestroy`: in one process, deliveries in flight still want their signatures until then. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.#serving.map((serving) => serving.stop()));
  }

  #checkMasterKey(): void {
    const foreign = checkMasterKey(this.#masterKey, this.#snapshot.subscriptions());
    if (foreign.length === 0) return;
    const subscriptions = foreign.slice(0, 10).map(({ id }) => id);
    const fields = { count: foreign.length, subscriptions, masterKey: this.#masterKey.id };
    this.#logger.error(fields, 'some secrets are sealed with another master key; their deliveries wait for that key');
  }

  #makeAnswerSign(): (payload: Uint8Array) => Promise<Uint8Array> {
    const { observeBatch } = makeSignerMetrics(this.#metrics);
    const { signBatch, forget } = makeSigning({
      findSubscription: (tenant, id) => this.#snapshot.subscription(tenant, id),
      catchUp: () => this.#snapshot.catchUp(),
      masterKey: this.#masterKey,
    });
    this.#snapshot.onSubscriptionChange(forget);
    return async (payload) => {
      const startedAt = performance.now();
      const replies = await signBatch(decodeSignRequests(payload));
      observeBatch(replies, performance.now() - startedAt);
      return encodeSignReplies(replies);
    };
  }

  #makeAnswerSeal(): (payload: Uint8Array) => Promise<Uint8Array> {
    const sealSecret = makeSealSecret({ masterKey: this.#masterKey, randomBytes });
    const sealCredential = makeSealCredential(this.#masterKey);
    return (payload) => {
      const question = JSON.parse(new TextDecoder().decode(payload)) as SealRequest;
      const reply = 'credential' in question ? sealCredential(question) : sealSecret(question);
      return Promise.resolve(Buffer.from(JSON.stringify(reply)));
    };
  }
}
