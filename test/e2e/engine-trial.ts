import type { JetStreamManager } from '@nats-io/jetstream';
import { randomUUID } from 'node:crypto';
import type { SubscriptionHealthResource } from '#contracts/http/health-resource';
import { eventually } from '#testkit/eventually';
import {
  headerOf,
  type Received,
  type Respond,
  type Sink,
  type SinkAnswer,
  type SinkOptions,
} from '#testkit/sink-server';
import { expectStatus, type TenantClient } from '#testkit/tenant-client';
import type { AttemptView, DeadLetterView, DeliveryView } from './look-up.ts';

const BATCH = 100;

export interface TrialOptions {
  readonly respond?: Respond;
  /** Answers `OPTIONS`; then the sink has to give its consent. Default: it is not asked. */
  readonly handshake?: () => SinkAnswer;
  readonly config?: object;
  /** Default: the stage's. */
  readonly client?: TenantClient;
}

/** A subscription under test, and what came to its sink. */
export interface Trial {
  readonly client: TenantClient;
  readonly sink: Sink;
  readonly type: string;
  readonly subscription: string;
  /** One after the other, each when the one before was accepted: that is their order. */
  publishInOrder(ids: readonly string[], attributes?: (id: string) => object): Promise<void>;
  /** As quickly as they are accepted, in batches. */
  publish(ids: readonly string[]): Promise<void>;
  /** Another subscription to the same type, at a path of its own of the same sink. */
  oneMore(): Promise<void>;
  /** Ids of the events that the sink got, in order of arrival. */
  ids(): readonly string[];
  /** Resolves when the sink got each of these events at least once. */
  arrived(ids: readonly string[], deadlineMs?: number): Promise<void>;
  /** Requests that were at the sink at once, at most, since the trial began. */
  mostAtOnce(): number;
  /** Workers that had a request at the sink at the same time, at most. */
  workersAtOnce(): number;
  /** Who sent the last request. */
  lastWorker(): string;
  health(): Promise<SubscriptionHealthResource>;
  /** `pause`, `resume` */
  command(name: string): Promise<void>;
  state(): Promise<{ readonly state: string; readonly stateReason?: string }>;
  validation(): Promise<{ readonly status: string }>;
  deliveries(state?: string): Promise<readonly DeliveryView[]>;
  /** Of each delivery, those that ended. */
  attempts(): Promise<readonly (readonly AttemptView[])[]>;
  deadLetters(): Promise<readonly DeadLetterView[]>;
  /** Resolves when nothing of its lane is left: no message, no lease, no state. */
  leftNoTrace(): Promise<void>;
}

/** Without jitter and floors, so that a test need not wait. */
export const RETRY_EACH_SECOND = { delaysSeconds: [1], whenExhausted: 'repeat-last', jitter: 0 };

export interface TrialPlace {
  sink(options: SinkOptions): Promise<Sink>;
  readonly client: TenantClient;
  readonly jsm: JetStreamManager;
}

/** A subscription to one type of its own, with a sink of its own. */
export async function startTrial(
  place: TrialPlace,
  { respond = () => ({}), handshake, config = {}, client = place.client }: TrialOptions = {},
): Promise<Trial> {
  const watch = makeWatch(respond);
  const sink = await place.sink({ respond: watch.respond, ...(handshake === undefined ? {} : { handshake }) });
  watch.of(sink);
  const type = `trial.${randomUUID()}`;
  const validation = { mode: handshake === undefined ? 'none' : 'required' };
  let count = 0;
  const subscribe = async (): Promise<string> => {
    const defaults = { contentMode: 'binary', retry: RETRY_EACH_SECOND, validation };
    return (
      await client.subscribe({ sink: `${sink.url}/${count++}`, types: [type], config: { ...defaults, ...config } })
    ).id;
  };
  return makeTrial({ client, sink, type, subscription: await subscribe(), subscribe, watch, jsm: place.jsm });
}

interface Watch {
  of(sink: Sink): void;
  readonly respond: Respond;
  mostAtOnce(): number;
  workersAtOnce(): number;
}

/** Looks at each arrival at what is at the sink already. */
function makeWatch(respond: Respond): Watch {
  let sink: Sink | undefined;
  let most = 0;
  let workers = 0;
  return {
    of(watched) {
      sink = watched;
    },
    respond(received, count) {
      const underWay = [...(sink?.underWay ?? [])];
      most = Math.max(most, underWay.length);
      workers = Math.max(workers, new Set(underWay.map(workerOf)).size);
      return respond(received, count);
    },
    mostAtOnce: () => most,
    workersAtOnce: () => workers,
  };
}

interface TrialParts extends Pick<Trial, 'client' | 'sink' | 'type' | 'subscription'> {
  readonly subscribe: () => Promise<string>;
  readonly watch: Watch;
  readonly jsm: JetStreamManager;
}

function makeTrial({ client, sink, type, subscription, subscribe, watch, jsm }: TrialParts): Trial {
  const eventOf = (id: string, attributes: object = {}): object => {
    return { specversion: '1.0', id, source: `/${type}`, type, data: { id }, ...attributes };
  };
  const ids = (): string[] => sink.received.flatMap(idsOf);
  const path = `/v1/subscriptions/${subscription}`;
  return {
    client,
    sink,
    type,
    subscription,
    async publishInOrder(wanted, attributes = () => ({})) {
      for (const id of wanted) await client.publishEvent(eventOf(id, attributes(id)));
    },
    async publish(wanted) {
      for (let from = 0; from < wanted.length; from += BATCH) {
        const events = wanted.slice(from, from + BATCH).map((id) => eventOf(id));
        const headers = { 'content-type': 'application/cloudevents-batch+json' };
        expectStatus(202, 'POST /publish', await client.publish(headers, JSON.stringify(events)));
      }
    },
    async oneMore() {
      await subscribe();
    },
    ids,
    async arrived(wanted, deadlineMs = 30_000) {
      await eventually(
        () => {
          const here = new Set(ids());
          const missing = wanted.filter((id) => !here.has(id));
          if (missing.length === 0) return true;
          throw new Error(`${missing.length} of ${wanted.length} events did not arrive, e.g. ${missing[0]}`);
        },
        { deadlineMs },
      );
    },
    mostAtOnce: watch.mostAtOnce,
    workersAtOnce: watch.workersAtOnce,
    lastWorker() {
      const last = sink.received.at(-1);
      if (last === undefined) throw new Error('the sink has no request');
      return workerOf(last);
    },
    health: () => client.get(`${path}/health`),
    async command(name) {
      expectStatus(200, `POST ${path}/${name}`, await client.call('POST', `${path}/${name}`));
    },
    state: () => client.get(path),
    deliveries: (state) =>
      client.list(
        `/v1/deliveries?subscription=${subscription}&limit=250${state === undefined ? '' : `&state=${state}`}`,
      ),
    async validation() {
      return (await client.get<{ validation: { status: string } }>(path)).validation;
    },
    async attempts() {
      const all = await client.list<DeliveryView>(`/v1/deliveries?subscription=${subscription}&limit=250`);
      const whole = await Promise.all(all.map(({ id }) => client.get<DeliveryView>(`/v1/deliveries/${id}`)));
      return whole.map(({ attempts = [] }) => attempts);
    },
    deadLetters: () => client.list(`/v1/dead-letters?subscription=${subscription}`),
    async leftNoTrace() {
      await eventually(async () => expectNoTrace(jsm, subscription), { deadlineMs: 30_000, everyMs: 100 });
    },
  };
}

/** @throws Error that says what is left */
async function expectNoTrace(jsm: JetStreamManager, subscription: string): Promise<true> {
  const lane = await countOf(jsm, 'LANES', `lane.${subscription}`);
  const lease = await countOf(jsm, 'WAKE', `wake.${subscription}`);
  const state = await jsm.streams.getMessage('CIRCUITS', { last_by_subj: `circuit.${subscription}` });
  // An empty one tells the others that the state was removed; it is gone after a minute.
  const stateText = state === null ? '' : new TextDecoder().decode(state.data);
  if (lane + lease === 0 && stateText === '') return true;
  throw new Error(`left are ${lane} messages in the lane, ${lease} lease, state ${stateText || 'none'}`);
}

async function countOf(jsm: JetStreamManager, stream: string, subject: string): Promise<number> {
  const { state } = await jsm.streams.info(stream, { subjects_filter: subject });
  return state.subjects?.[subject] ?? 0;
}

/** Of one request: its event, or those of its batch. */
export function idsOf(received: Received): readonly string[] {
  const id = headerOf(received, 'ce-id');
  if (id !== undefined) return [id];
  const body = JSON.parse(new TextDecoder().decode(received.body)) as { id: string } | { id: string }[];
  return (Array.isArray(body) ? body : [body]).map((event) => event.id);
}

export function idOf(received: Received): string {
  return idsOf(received)[0] ?? '';
}

export function workerOf(received: Received): string {
  return headerOf(received, 'user-agent') ?? '';
}

/** `0`, `1` … with a prefix. */
export function numbered(count: number, prefix = ''): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

/** Without the repeats of what was sent last. */
export function withoutRepeats(ids: readonly string[]): readonly string[] {
  return ids.filter((id, i) => id !== ids[i - 1]);
}
