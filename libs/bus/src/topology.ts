import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { SUBJECT_ROOTS } from '#contracts/bus/subject-roots';
import { fnv1a, typeToSubject } from './subject-token.ts';

export interface TopologyOptions {
  /** Prefix of every stream and subject, so that installations can share a cluster. Default: none. */
  readonly deployment: string;
  /** Copies of every stream: 1, 3 or 5. Default 1. */
  readonly replicas: number;
  /** How long events and their journal are kept. Default 7 days; never under the 26 h of the delivery lanes. */
  readonly eventRetentionSeconds: number;
  /** How long a second event with the same tenant, source and id is recognised. Default 120; must exceed {@link MATCHER_ACK_WAIT_MAX_MS}. */
  readonly deduplicationSeconds: number;
  /** How long dead letters are kept. Default 30 days. */
  readonly deadLetterRetentionSeconds: number;
  /**
   * How long the work of a process that was killed stays untouched, at most. Default 60; handlers that run renew it, so it
   * need not be longer than what they do.
   */
  readonly ackWaitSeconds: number;
}

export const DEFAULT_TOPOLOGY_OPTIONS: TopologyOptions = {
  deployment: '',
  replicas: 1,
  eventRetentionSeconds: 7 * 86_400,
  deduplicationSeconds: 120,
  deadLetterRetentionSeconds: 30 * 86_400,
  ackWaitSeconds: 60,
};

/** The common road is split in eight by subscription, so that a stuck sink holds up at most an eighth for a moment. */
export const PARTITIONS = 8;

/**
 * Tenants share matchers' attention by partition: a backlog of one holds up a sixteenth of the others (ADR 0014). The server
 * puts events there, so another number would be another subject, and consumers of their own for what is stored already.
 */
export const EVENT_PARTITIONS = 16;

/** Redelivery to another matcher after a crash. The fan-out must still be in the duplicate window then. */
const MATCHER_ACK_WAIT_MAX_MS = 30_000;

/** Two hours more than any deadline: the deadline decides, this only keeps a lost message from staying for ever. */
const LANE_MAX_AGE_SECONDS = 26 * 3600;
/** 2.15 refuses the 1001st consumer of a stream whose configuration does not say otherwise. */
const MAX_CONSUMERS = 64;
/** Ten times what a matcher can have unacknowledged. */
const COUNTER_HISTORY = 10_000;
/** An event that is matched again after a longer outage counts twice. */
const COUNTER_DEDUPLICATION_SECONDS = 3600;
/** Every process folds it, with a consumer of its own. */
const FOLDED_MAX_CONSUMERS = 1024;
/** Jobs that run at once in the whole cluster; others wait. */
const RUNNING_REDELIVERIES = 1000;
/** A key that was not used for a year is not known to have been used. */
const KEY_USE_MAX_AGE_SECONDS = 366 * 86_400;
/** Longer than the holder of a lease needs, and short enough to wait for when it was killed. */
export const LEASE_SECONDS = 60;
/** Lanes that are drained at once in the whole cluster; each is a lease, unacknowledged for as long as that takes. */
const AWAKE_LANES = 20_000;

export type StreamKey =
  | 'EVENTS'
  | 'REGISTRY'
  | 'DELIVERIES'
  | 'RETRIES'
  | 'LANES'
  | 'WAKE'
  | 'CIRCUITS'
  | 'VALIDATIONS'
  | 'JOURNAL'
  | 'DEADLETTERS'
  | 'COUNTERS'
  | 'KEYUSES'
  | 'LEASES';
export type WantedStream = Partial<StreamConfig> & { readonly name: string };
export interface WantedConsumer {
  readonly stream: string;
  readonly config: Partial<ConsumerConfig> & { readonly durable_name: string };
}

/** Every name on the bus. Pure: it knows the names, {@link import('./ensure-topology.ts')} makes them real. */
export interface Topology {
  readonly options: TopologyOptions;
  readonly streams: Readonly<Record<StreamKey, string>>;
  readonly partitions: 8;
  /** Durable consumer names. `fresh`, `bulk` and `retry` have one per partition; `projector` exists on four streams. */
  readonly consumers: {
    /** On EVENTS: one per partition of tenants. */
    readonly matchers: readonly string[];
    /** On EVENTS: what was stored before there were partitions, under the subject that it was published on. */
    readonly unpartitionedMatcher: 'matcher';
    readonly projector: 'projector';
    readonly fresh: readonly string[];
    /** On DELIVERIES: what a tenant published above its budget. */
    readonly bulk: readonly string[];
    readonly retry: readonly string[];
    /** On WAKE: the leases of the lanes. */
    readonly lanes: 'lanes';
    /** On RETRIES: lanes whose timer fired. */
    readonly wakeDue: 'wake-due';
    /** On REGISTRY: subscriptions that changed, for whoever has to ask their sinks. */
    readonly subscriptionChanges: 'subscription-changes';
    /** On REGISTRY: redeliveries that are requested; unacknowledged for as long as they run. */
    readonly redeliveries: 'redeliveries';
    /** On JOURNAL: what delivery found out about subscriptions. */
    readonly verdicts: 'verdicts';
    /** On REGISTRY, JOURNAL and DEADLETTERS: what tenants are told by events of Posthaste's own. */
    readonly operational: 'operational';
    /** On VALIDATIONS: sinks to be asked. */
    readonly validationAsks: 'validation-asks';
    /** On VALIDATIONS: their answers, and the deadlines for them. */
    readonly validationsTold: 'validations-told';
  };
  /** The stream that holds a tenant's events: one for all today; sharding by hash of the tenant changes only this. */
  eventsStream(tenant: string): string;
  /** `ce.<tenant>.<type>`: where it is published. The server stores it as `ce-p.<p>.<tenant>.<type>`. */
  eventSubject(tenant: string, type: string): string;
  /** `ce.*.>`: every subject that events are published on, and that those from before partitions are stored under. */
  readonly eventSubjects: string;
  /** The subject that a message of EVENTS was published on, of the one that it is stored under. */
  publishedEventSubject(stored: string): string;
  /** The consumer of EVENTS that takes a tenant's events. */
  matcherOf(tenant: string): string;
  /** The tenant token of an event subject, published or stored, or undefined when it is not one. Not checked to be a tenant id. */
  tenantOfEventSubject(subject: string): string | undefined;
  /** `registry.<tenant>.<aggregate>.<id>` */
  registrySubject(tenant: string, aggregate: string, id: string): string;
  /** 0 … 7 of a subscription or a tenant, stable for ever: its messages stay in their partition over versions. */
  partitionOf(id: string): number;
  /** `deliver.<p>.<subscription>` */
  deliverSubject(subscription: string): string;
  /** `bulk.<p>.<subscription>`, p of the tenant: one that publishes too much holds up an eighth of those that do so too. */
  bulkSubject(tenant: string, subscription: string): string;
  /** `lane.<subscription>` */
  laneSubject(subscription: string): string;
  /** `wake.<subscription>`: the lease of its lane. */
  wakeSubject(subscription: string): string;
  /** `circuit.<subscription>`: what all processes know of its lane. */
  circuitSubject(subscription: string): string;
  /** `retry.at.<subscription>.<delivery>-<event seq>`: the timer. Never consumed: an ack would delete it. */
  retryAtSubject(subscription: string, timer: string): string;
  /** `retry.due.<p>.<subscription>`: what the server publishes when the timer fires. */
  retryDueSubject(subscription: string): string;
  /** `retry.at.<subscription>._wake`: the one timer of a lane. */
  wakeTimerSubject(subscription: string): string;
  /** `retry.wake.<subscription>`: what the server publishes when that fires. */
  retryWakeSubject(subscription: string): string;
  /** `validate.ask.<tenant>.<subscription>`: a sink to be asked. */
  validationAskSubject(tenant: string, subscription: string): string;
  /** `validate.told.<tenant>.<subscription>`: its answer, or the deadline for it. */
  validationToldSubject(tenant: string, subscription: string): string;
  /** `validate.at.<subscription>.<kind>`: the timer of either. Never consumed. */
  validationAtSubject(subscription: string, kind: 'ask' | 'deadline'): string;
  /** `journal.<tenant>.<kind>` */
  journalSubject(tenant: string, kind: string): string;
  /** `dead.<tenant>.<subscription>`, or `_rejected` for what is not an event */
  deadSubject(tenant: string, subscription: string): string;
  /** `count.<subscription>`: events matched by a subscription that has a limit of them. */
  countSubject(subscription: string): string;
  /** `keyuse.<tenant>.<key>`: when and from where an API key was last used. */
  keyUseSubject(tenant: string, key: string): string;
  /** Request/reply with the signer. */
  readonly signSubject: string;
  readonly sealSubject: string;
  readonly clientCertificateSubject: string;
  /** Request/reply with the registry: the signer has obtained another access token. */
  readonly credentialSubject: string;
  /** `lease.<subscription>`: who obtains an access token for it. */
  leaseSubject(subscription: string): string;
  /** Core NATS: delivery workers say that they are alive. */
  readonly aliveSubject: string;
  /** Core NATS: a question to all delivery workers about one subscription. */
  readonly laneHealthSubject: string;
  /** Where the schedule self-test publishes and what it expects; no consumer reads either. */
  probeSubjects(unique: string): { readonly at: string; readonly due: string };
  streamConfigs(): readonly WantedStream[];
  consumerConfigs(): readonly WantedConsumer[];
}

/**
 * @throws RangeError when an option is impossible, with the reason
 */
export function makeTopology(given: Partial<TopologyOptions> = {}): Topology {
  const options = { ...DEFAULT_TOPOLOGY_OPTIONS, ...given };
  checkOptions(options);
  const stream = options.deployment === '' ? '' : `${options.deployment}_`;
  const dot = options.deployment === '' ? '' : `${options.deployment}.`;
  const numbers = Array.from({ length: PARTITIONS }, (_, p) => p);
  const partitionOf = (id: string): number => fnv1a(id) % PARTITIONS;
  const matchers = Array.from({ length: EVENT_PARTITIONS }, (_, p) => `matcher-${p}`);
  const topology: Topology = {
    options,
    partitions: PARTITIONS,
    streams: {
      EVENTS: `${stream}EVENTS`,
      REGISTRY: `${stream}REGISTRY`,
      DELIVERIES: `${stream}DELIVERIES`,
      RETRIES: `${stream}RETRIES`,
      LANES: `${stream}LANES`,
      WAKE: `${stream}WAKE`,
      CIRCUITS: `${stream}CIRCUITS`,
      VALIDATIONS: `${stream}VALIDATIONS`,
      JOURNAL: `${stream}JOURNAL`,
      DEADLETTERS: `${stream}DEADLETTERS`,
      COUNTERS: `${stream}COUNTERS`,
      KEYUSES: `${stream}KEYUSES`,
      LEASES: `${stream}LEASES`,
    },
    consumers: {
      matchers,
      unpartitionedMatcher: 'matcher',
      projector: 'projector',
      fresh: numbers.map((p) => `fresh-${p}`),
      bulk: numbers.map((p) => `bulk-${p}`),
      retry: numbers.map((p) => `retry-${p}`),
      lanes: 'lanes',
      wakeDue: 'wake-due',
      subscriptionChanges: 'subscription-changes',
      redeliveries: 'redeliveries',
      verdicts: 'verdicts',
      operational: 'operational',
      validationAsks: 'validation-asks',
      validationsTold: 'validations-told',
    },
    eventsStream: () => topology.streams.EVENTS,
    eventSubject: (tenant, type) => `${dot}ce.${tenant}.${typeToSubject(type)}`,
    eventSubjects: `${dot}ce.*.>`,
    publishedEventSubject: (stored) =>
      stored.startsWith(`${dot}ce-p.`)
        ? `${dot}ce${stored.slice(stored.indexOf('.', dot.length + 'ce-p.'.length))}`
        : stored,
    // As the server does it, of the bytes of a token; ids of tenants are ASCII.
    matcherOf: (tenant) => matchers[fnv1a(tenant) % EVENT_PARTITIONS] as string,
    tenantOfEventSubject(subject) {
      const published = topology.publishedEventSubject(subject);
      return published.startsWith(`${dot}ce.`) ? published.slice(dot.length + 3).split('.', 1)[0] : undefined;
    },
    registrySubject: (tenant, aggregate, id) => `${dot}registry.${tenant}.${aggregate}.${id}`,
    partitionOf,
    deliverSubject: (subscription) => `${dot}deliver.${partitionOf(subscription)}.${subscription}`,
    bulkSubject: (tenant, subscription) => `${dot}bulk.${partitionOf(tenant)}.${subscription}`,
    laneSubject: (subscription) => `${dot}lane.${subscription}`,
    wakeSubject: (subscription) => `${dot}wake.${subscription}`,
    circuitSubject: (subscription) => `${dot}circuit.${subscription}`,
    retryAtSubject: (subscription, timer) => `${dot}retry.at.${subscription}.${timer}`,
    retryDueSubject: (subscription) => `${dot}retry.due.${partitionOf(subscription)}.${subscription}`,
    wakeTimerSubject: (subscription) => topology.retryAtSubject(subscription, '_wake'),
    retryWakeSubject: (subscription) => `${dot}retry.wake.${subscription}`,
    validationAskSubject: (tenant, subscription) => `${dot}validate.ask.${tenant}.${subscription}`,
    validationToldSubject: (tenant, subscription) => `${dot}validate.told.${tenant}.${subscription}`,
    validationAtSubject: (subscription, kind) => `${dot}validate.at.${subscription}.${kind}`,
    journalSubject: (tenant, kind) => `${dot}journal.${tenant}.${kind}`,
    deadSubject: (tenant, subscription) => `${dot}dead.${tenant}.${subscription}`,
    countSubject: (subscription) => `${dot}count.${subscription}`,
    keyUseSubject: (tenant, key) => `${dot}keyuse.${tenant}.${key}`,
    signSubject: `${dot}signer.sign`,
    sealSubject: `${dot}signer.seal`,
    clientCertificateSubject: `${dot}signer.certificate`,
    credentialSubject: `${dot}credential.refreshed`,
    leaseSubject: (subscription) => `${dot}lease.${subscription}`,
    aliveSubject: `${dot}alive.delivery`,
    laneHealthSubject: `${dot}alive.health`,
    probeSubjects: (unique) => ({ at: `${dot}retry.at._probe.${unique}`, due: `${dot}retry.due._probe.${unique}` }),
    streamConfigs: () => streamConfigs(topology.streams, dot, options),
    consumerConfigs: () => consumerConfigs(topology, dot),
  };
  return topology;
}

function checkOptions(options: TopologyOptions): void {
  const { deployment, eventRetentionSeconds, deduplicationSeconds } = options;
  if (deployment !== '' && (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(deployment) || SUBJECT_ROOTS.includes(deployment))) {
    throw new RangeError(
      `deployment ${JSON.stringify(deployment)} must be 1–32 of a-z 0-9 -, and none of ${SUBJECT_ROOTS.join(', ')}`,
    );
  }
  if (eventRetentionSeconds < LANE_MAX_AGE_SECONDS) {
    throw new RangeError(
      `event retention ${eventRetentionSeconds} s is under ${LANE_MAX_AGE_SECONDS} s: retries need the event`,
    );
  }
  if (deduplicationSeconds * 1000 <= MATCHER_ACK_WAIT_MAX_MS || deduplicationSeconds > eventRetentionSeconds) {
    throw new RangeError(
      `deduplication of ${deduplicationSeconds} s must exceed ${MATCHER_ACK_WAIT_MAX_MS / 1000} s and not exceed the event retention`,
    );
  }
}

/** Limits that could drop an obligation silently (count, bytes) stay off everywhere: age is the only way out of a stream. */
function streamConfigs(streams: Topology['streams'], dot: string, options: TopologyOptions): readonly WantedStream[] {
  const deduplication = nanos(options.deduplicationSeconds * 1000);
  const common = {
    storage: StorageType.File,
    num_replicas: options.replicas,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_consumers: MAX_CONSUMERS,
    duplicate_window: nanos(120_000),
    allow_direct: true,
  };
  const road = { ...common, retention: RetentionPolicy.Workqueue, max_age: nanos(LANE_MAX_AGE_SECONDS * 1000) };
  const retention = nanos(options.eventRetentionSeconds * 1000);
  return [
    {
      ...common,
      name: streams.EVENTS,
      subjects: [`${dot}ce.*.>`],
      // Nobody can publish onto what it is stored under: that is no subject of any stream.
      subject_transform: {
        src: `${dot}ce.*.>`,
        dest: `${dot}ce-p.{{partition(${EVENT_PARTITIONS},1)}}.{{wildcard(1)}}.>`,
      },
      max_age: retention,
      duplicate_window: deduplication,
    },
    // Deleting or purging a record would make live folds and restarted ones disagree. Every process folds it: more consumers.
    {
      ...common,
      name: streams.REGISTRY,
      subjects: [`${dot}registry.*.*.*`],
      deny_delete: true,
      deny_purge: true,
      max_consumers: FOLDED_MAX_CONSUMERS,
    },
    { ...road, name: streams.DELIVERIES, subjects: [`${dot}deliver.*.*`, `${dot}bulk.*.*`] },
    {
      ...road,
      name: streams.RETRIES,
      subjects: [`${dot}retry.at.*.*`, `${dot}retry.due.*.*`, `${dot}retry.wake.*`],
      allow_msg_schedules: true,
      allow_msg_ttl: true,
    },
    // Read and deleted by the holder of the lane's lease: no consumers, hence no work queue.
    { ...common, name: streams.LANES, subjects: [`${dot}lane.*`], max_age: nanos(LANE_MAX_AGE_SECONDS * 1000) },
    // The one stream that refuses: a second wake while the first is stored or in flight.
    {
      ...common,
      name: streams.WAKE,
      subjects: [`${dot}wake.*`],
      retention: RetentionPolicy.Workqueue,
      max_msgs_per_subject: 1,
      discard: DiscardPolicy.New,
      discard_new_per_subject: true,
    },
    {
      ...common,
      name: streams.CIRCUITS,
      subjects: [`${dot}circuit.*`],
      max_msgs_per_subject: 1,
      allow_msg_ttl: true,
      max_consumers: FOLDED_MAX_CONSUMERS,
    },
    {
      ...road,
      name: streams.VALIDATIONS,
      subjects: [`${dot}validate.at.*.*`, `${dot}validate.ask.*.*`, `${dot}validate.told.*.*`],
      allow_msg_schedules: true,
      allow_msg_ttl: true,
    },
    { ...common, name: streams.JOURNAL, subjects: [`${dot}journal.*.*`], max_age: retention },
    {
      ...common,
      name: streams.DEADLETTERS,
      subjects: [`${dot}dead.*.*`],
      max_age: nanos(options.deadLetterRetentionSeconds * 1000),
    },
    {
      ...common,
      name: streams.COUNTERS,
      subjects: [`${dot}count.*`],
      allow_msg_counter: true,
      // The newest message has the total; older ones tell a matcher that comes again which number its event got.
      max_msgs_per_subject: COUNTER_HISTORY,
      duplicate_window: nanos(COUNTER_DEDUPLICATION_SECONDS * 1000),
    },
    {
      ...common,
      name: streams.KEYUSES,
      subjects: [`${dot}keyuse.*.*`],
      max_msgs_per_subject: 1,
      max_age: nanos(KEY_USE_MAX_AGE_SECONDS * 1000),
    },
    {
      ...common,
      name: streams.LEASES,
      subjects: [`${dot}lease.*`],
      max_msgs_per_subject: 1,
      max_age: nanos(LEASE_SECONDS * 1000),
      // The server refuses one that is longer than the age.
      duplicate_window: nanos(LEASE_SECONDS * 1000),
    },
  ];
}

function consumerConfigs(
  { streams, consumers, options, eventSubjects }: Topology,
  dot: string,
): readonly WantedConsumer[] {
  const ackWaitMs = options.ackWaitSeconds * 1000;
  const durable = (name: string, maxAckPending: number, waitMs = ackWaitMs) => ({
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(waitMs),
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    max_ack_pending: maxAckPending,
    max_deliver: -1,
    max_waiting: 512,
  });
  return [
    ...[
      { name: consumers.unpartitionedMatcher, filter_subject: eventSubjects },
      ...consumers.matchers.map((name, p) => ({ name, filter_subject: `${dot}ce-p.${p}.>` })),
    ].map(({ name, filter_subject }) => ({
      stream: streams.EVENTS,
      config: { ...durable(name, 1000, Math.min(ackWaitMs, MATCHER_ACK_WAIT_MAX_MS)), filter_subject },
    })),
    ...consumers.fresh.map((name, p) => ({
      stream: streams.DELIVERIES,
      config: { ...durable(name, 512), filter_subject: `${dot}deliver.${p}.*` },
    })),
    ...consumers.bulk.map((name, p) => ({
      stream: streams.DELIVERIES,
      config: { ...durable(name, 512), filter_subject: `${dot}bulk.${p}.*` },
    })),
    ...consumers.retry.map((name, p) => ({
      stream: streams.RETRIES,
      config: { ...durable(name, 128), filter_subject: `${dot}retry.due.${p}.*` },
    })),
    {
      stream: streams.RETRIES,
      config: { ...durable(consumers.wakeDue, 1024), filter_subject: `${dot}retry.wake.*` },
    },
    { stream: streams.WAKE, config: durable(consumers.lanes, AWAKE_LANES) },
    {
      stream: streams.REGISTRY,
      config: {
        ...durable(consumers.subscriptionChanges, 256),
        filter_subject: `${dot}registry.*.subscription.*`,
      },
    },
    {
      stream: streams.REGISTRY,
      config: {
        ...durable(consumers.redeliveries, RUNNING_REDELIVERIES),
        filter_subject: `${dot}registry.*.redelivery.*`,
      },
    },
    {
      stream: streams.JOURNAL,
      config: { ...durable(consumers.verdicts, 256), filter_subject: `${dot}journal.*.verdict` },
    },
    // From when it is made on: an installation that is upgraded does not tell what was long ago.
    ...[
      { stream: streams.REGISTRY, filter_subject: `${dot}registry.*.subscription.*` },
      { stream: streams.JOURNAL, filter_subject: `${dot}journal.*.circuit` },
      { stream: streams.DEADLETTERS, filter_subject: `${dot}dead.*.*` },
    ].map(({ stream, filter_subject }) => ({
      stream,
      config: { ...durable(consumers.operational, 256), deliver_policy: DeliverPolicy.New, filter_subject },
    })),
    {
      stream: streams.VALIDATIONS,
      config: { ...durable(consumers.validationAsks, 1024), filter_subject: `${dot}validate.ask.*.*` },
    },
    {
      stream: streams.VALIDATIONS,
      config: { ...durable(consumers.validationsTold, 256), filter_subject: `${dot}validate.told.*.*` },
    },
    // Explicit, not `all` (175–196k/s against 115–172k/s): with two projectors one would acknowledge the other's open batch.
    ...[streams.EVENTS, streams.REGISTRY, streams.JOURNAL, streams.DEADLETTERS].map((stream) => ({
      stream,
      config: durable(consumers.projector, 10_000),
    })),
  ];
}
