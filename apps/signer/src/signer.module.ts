import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Module, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { takeLease } from '#bus/lease';
import { request, serve, type Serving } from '#bus/request';
import { encodeClientCertificateReply, type ClientCertificateRequest } from '#contracts/bus/client-certificate';
import type { KeepCredentialReply } from '#contracts/bus/credential';
import type { SealRequest } from '#contracts/bus/seal';
import { decodeSignRequests, encodeSignReplies } from '#contracts/bus/sign';
import { toClientOptions } from '#outbound/client-options';
import { makeGuardedClient, type GuardedClient } from '#outbound/guarded-client';
import { randomBytes } from '#platform/digest';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, LOGGER, METRICS, type Clock } from '#platform/tokens';
import { checkMasterKey } from './check-master-key.ts';
import type { SignerConfig } from './config.ts';
import { makeAuthorize, type Authorizing } from './credentials/authorize.ts';
import { makeFetchToken } from './credentials/fetch-token.ts';
import { makeGiveCertificate } from './credentials/give-certificate.ts';
import { makeTokens, type Tokens } from './credentials/tokens.ts';
import { makeHeaderNamesOf } from './header-names-of.ts';
import { makeMakeSigningKey } from './make-signing-key.ts';
import { makeMasterKeys, type MasterKeys } from './master-key.ts';
import { readMasterKeys } from './read-master-keys.ts';
import { makeReseal } from './reseal.ts';
import { makeSealCredential, makeSealSecret } from './seal-secret.ts';
import { makeSigning } from './sign-batch.ts';
import { makeSignerMetrics, makeTokenMetrics } from './signer.metrics.ts';

const QUEUE = 'signer';
const NONCE_BYTES = 16;
const TOKEN_TIMEOUT_MS = 10_000;
/** Token endpoints are asked seldom. */
const TOKEN_CONNECTION_MAX_AGE_MS = 10_000;
const KEEP_TIMEOUT_MS = 5_000;
/** Of an installation that was not told its URL: nobody finds its keys by it, and nobody else has it. */
const UNNAMED_ISSUER = 'urn:posthaste';

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
  readonly #clock: Clock;
  readonly #client: GuardedClient;
  #tokens: Tokens | undefined;
  #serving: readonly Serving[] = [];

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot,
    @Inject(CONFIG) config: SignerConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(METRICS) metrics: MetricsRegistry,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.#bus = bus;
    this.#snapshot = snapshot;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#masterKeys = makeMasterKeys(readMasterKeys(config));
    this.#publicUrl = config.POSTHASTE_PUBLIC_URL;
    this.#clock = clock;
    this.#client = makeGuardedClient({
      ...toClientOptions(config),
      totalTimeoutMs: TOKEN_TIMEOUT_MS,
      connectionMaxAgeMs: TOKEN_CONNECTION_MAX_AGE_MS,
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#checkMasterKey();
    const { signSubject, sealSubject, clientCertificateSubject } = this.#bus.topology;
    this.#serving = [
      serve(this.#bus, { subject: signSubject, queue: QUEUE }, this.#makeAnswerSign()),
      serve(this.#bus, { subject: sealSubject, queue: QUEUE }, this.#makeAnswerSeal()),
      serve(this.#bus, { subject: clientCertificateSubject, queue: QUEUE }, this.#makeAnswerCertificate()),
    ];
    await this.#bus.nc.flush(); // ready means that the server knows of us
  }

  /** After every `onModuleDestroy`: in one process, deliveries in flight still want their signatures until then. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.#serving.map((serving) => serving.stop()));
    await this.#tokens?.stop();
    await this.#client.close();
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
    const authorizing = this.#makeAuthorizing();
    const { signBatch, forget } = makeSigning({
      findSubscription: (tenant, id) => this.#snapshot.subscription(tenant, id),
      signingKeys: (tenant) => this.#snapshot.signingKeys(tenant),
      catchUp: () => this.#snapshot.catchUp(),
      masterKey: this.#masterKeys,
      authorize: authorizing.authorize,
      publicUrl: this.#publicUrl,
      headerNamesOf: makeHeaderNamesOf((tenant) => this.#snapshot.tenant(tenant)?.policy?.headerPrefix),
      nonce: () => Buffer.from(randomBytes(NONCE_BYTES)).toString('hex'),
    });
    this.#snapshot.onSubscriptionChange((id, now) => {
      forget(id);
      authorizing.forget(id, now);
    });
    return async (payload) => {
      const startedAt = performance.now();
      const replies = await signBatch(decodeSignRequests(payload));
      observeBatch(replies, performance.now() - startedAt);
      return encodeSignReplies(replies);
    };
  }

  #makeAuthorizing(): Authorizing {
    const { masterKey, snapshot } = { masterKey: this.#masterKeys, snapshot: this.#snapshot };
    const { topology } = this.#bus;
    this.#tokens = makeTokens({
      findSubscription: (tenant, id) => snapshot.subscription(tenant, id),
      catchUp: () => snapshot.catchUp(),
      masterKey,
      fetchToken: makeFetchToken({ client: this.#client, now: this.#clock }),
      takeLease: (id) => takeLease(this.#bus, topology.leaseSubject(id)),
      keep: async (question) => {
        const payload = Buffer.from(JSON.stringify(question));
        const answer = await request(this.#bus, topology.credentialSubject, payload, KEEP_TIMEOUT_MS);
        return JSON.parse(Buffer.from(answer).toString()) as KeepCredentialReply;
      },
      observe: makeTokenMetrics(this.#metrics),
      report: (subscription, { detail, err }) => {
        this.#logger.warn(
          { subscription, detail, ...(err === undefined ? {} : { err }) },
          'no access token for a sink',
        );
      },
      now: this.#clock,
      sleep: (ms) => delay(ms, undefined, { ref: false }),
    });
    return makeAuthorize({
      signingKeys: (tenant) => snapshot.signingKeys(tenant),
      masterKey,
      tokens: this.#tokens,
      issuer: this.#publicUrl ?? UNNAMED_ISSUER,
      now: this.#clock,
    });
  }

  #makeAnswerCertificate(): (payload: Uint8Array) => Promise<Uint8Array> {
    const giveCertificate = makeGiveCertificate({
      findSubscription: (tenant, id) => this.#snapshot.subscription(tenant, id),
      catchUp: () => this.#snapshot.catchUp(),
      masterKey: this.#masterKeys,
    });
    return async (payload) => {
      const question = JSON.parse(new TextDecoder().decode(payload)) as ClientCertificateRequest;
      return encodeClientCertificateReply(await giveCertificate(question));
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
