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
import { makeMakeSigningKey } from './make-signing-key.ts';
import { makeMasterKeys, type MasterKeys } from './master-key.ts';
import { readMasterKeys } from './read-master-keys.ts';
import { makeReseal } from './reseal.ts';
import { makeSealCredential, makeSealSecret } from './seal-secret.ts';
import { makeSigning } from './sign-batch.ts';
import { makeSignerMetrics } from './signer.metrics.ts';

const QUEUE = 'signer';
const NONCE_BYTES = 16;

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
  readonly #masterKeys: MasterKeys;
  readonly #publicUrl: string | undefined;
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
    this.#masterKeys = makeMasterKeys(readMasterKeys(config));
    this.#publicUrl = config.POSTHASTE_PUBLIC_URL;
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
    const [subscriptions, signingKeys] = [this.#snapshot.subscriptions(), this.#snapshot.signingKeys()];
    const unreadable = checkMasterKey(this.#masterKeys, { subscriptions, signingKeys });
    if (unreadable.length === 0) return;
    const fields = { count: unreadable.length, owners: unreadable.slice(0, 10) };
    this.#logger.error(fields, 'some sealed secrets are damaged; the deliveries of their owners wait');
  }

  #makeAnswerSign(): (payload: Uint8Array) => Promise<Uint8Array> {
    const { observeBatch } = makeSignerMetrics(this.#metrics);
    const { signBatch, forget } = makeSigning({
      findSubscription: (tenant, id) => this.#snapshot.subscription(tenant, id),
      signingKeys: (tenant) => this.#snapshot.signingKeys(tenant),
      catchUp: () => this.#snapshot.catchUp(),
      masterKey: this.#masterKeys,
      publicUrl: this.#publicUrl,
      nonce: () => Buffer.from(randomBytes(NONCE_BYTES)).toString('hex'),
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
    const sealSecret = makeSealSecret({ masterKey: this.#masterKeys, randomBytes });
    const sealCredential = makeSealCredential(this.#masterKeys);
    const makeSigningKey = makeMakeSigningKey(this.#masterKeys);
    const reseal = makeReseal(this.#masterKeys);
    const answer = (question: SealRequest): unknown => {
      if ('reseal' in question) return reseal(question);
      if ('algorithm' in question) return makeSigningKey(question);
      return 'credential' in question ? sealCredential(question) : sealSecret(question);
    };
    return (payload) => {
      const question = JSON.parse(new TextDecoder().decode(payload)) as SealRequest;
      return Promise.resolve(Buffer.from(JSON.stringify(answer(question))));
    };
  }
}
