import { connect } from '@nats-io/transport-node';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { makePublisher } from '#bus/publisher';
import { benchEvent, nowUs } from './bench-event.ts';
import { answerParent } from './child.ts';

export type ProducerSetup = {
  /** Event n is of type n modulo their number. */
  readonly types: readonly string[];
} & (
  | { readonly kind: 'http'; readonly publishUrl: string; readonly key: string }
  /** A subject for each type. */
  | { readonly kind: 'nats'; readonly natsUrl: string; readonly subjects: readonly string[] }
);

export interface ProducerRun {
  readonly kind: 'run';
  /** Part of the event ids, so that runs do not deduplicate each other. */
  readonly run: string;
  readonly count: number;
  /** Open loop at this rate; unset: as fast as acknowledgements come, with a bounded number under way. */
  readonly ratePerSecond?: number;
}

export interface ProducerReport {
  readonly seconds: number;
  readonly failures: number;
  /** Of the first event. */
  readonly startUs: number;
}

/** Requests under way at max rate. More does not make the gateway faster, it only queues. */
const WINDOW = { http: 64, nats: 1024 };
const TICK_MS = 2;

type Send = (body: string, typeIndex: number) => Promise<void>;

let send: Send = () => Promise.reject(new Error('not set up'));
let types: readonly string[] = [];
let window = 1;

function sendByHttp({ publishUrl, key }: { publishUrl: string; key: string }): Send {
  const { origin, pathname: path } = new URL(publishUrl);
  const pool = new Pool(origin, { connections: WINDOW.http });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/cloudevents+json' };
  return async (body) => {
    const answer = await pool.request({ method: 'POST', path, headers, body });
    await answer.body.dump();
    if (answer.statusCode !== 202) throw new Error(`status ${answer.statusCode}`);
  };
}

async function sendByNats(to: { natsUrl: string; subjects: readonly string[] }): Promise<Send> {
  const silent = () => undefined;
  const logger = { debug: silent, info: silent, warn: silent, error: silent };
  const publisher = makePublisher(await connect({ servers: to.natsUrl }), logger);
  const encoder = new TextEncoder();
  return async (body, typeIndex) => {
    const headers = [['content-type', 'application/cloudevents+json']] as const;
    await publisher.publish(to.subjects[typeIndex] ?? '', encoder.encode(body), { headers });
  };
}

async function produce({ run, count, ratePerSecond }: ProducerRun): Promise<ProducerReport> {
  const startUs = nowUs();
  let failures = 0;
  const one = (n: number, dueUs: number) => {
    const typeIndex = n % types.length;
    return send(benchEvent(types[typeIndex] ?? '', run, n, dueUs), typeIndex).catch(() => {
      failures++;
    });
  };
  await (ratePerSecond === undefined ? closedLoop(one, count) : openLoop(one, count, ratePerSecond, startUs));
  return { seconds: (nowUs() - startUs) / 1e6, failures, startUs };
}

async function closedLoop(one: (n: number, dueUs: number) => Promise<void>, count: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await one(next++, nowUs());
  };
  await Promise.all(Array.from({ length: window }, work));
}

/** An event that is late because this process was is still counted from the instant at which it was due. */
async function openLoop(
  one: (n: number, dueUs: number) => Promise<void>,
  count: number,
  ratePerSecond: number,
  startUs: number,
): Promise<void> {
  const pending: Promise<void>[] = [];
  for (let n = 0; n < count;) {
    const due = Math.min(count, Math.floor(((nowUs() - startUs) * ratePerSecond) / 1e6) + 1);
    for (; n < due; n++) pending.push(one(n, startUs + Math.round((n * 1e6) / ratePerSecond)));
    await delay(TICK_MS);
  }
  await Promise.all(pending);
}

answerParent(async (message: ProducerSetup | ProducerRun) => {
  if (message.kind === 'run') return produce(message);
  window = WINDOW[message.kind];
  types = message.types;
  send = message.kind === 'http' ? sendByHttp(message) : await sendByNats(message);
  return {};
});
