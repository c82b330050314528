import { setTimeout as delay } from 'node:timers/promises';
import { connectBus, type Bus } from '#bus/connection';
import { openRegistrySnapshot } from '#bus/registry-snapshot';
import { request } from '#bus/request';
import type { SignReply, SignRequest } from '#contracts/bus/sign';
import { randomBytes } from '#platform/digest';
import { silentLogger } from '#testkit/test-bus';
import { makeSignClient } from '../apps/delivery/src/sign-client.ts';
import { makeHeaderNamesOf } from '../apps/signer/src/header-names-of.ts';
import { makeMasterKey } from '../apps/signer/src/master-key.ts';
import { makeSigning } from '../apps/signer/src/sign-batch.ts';
import { answerParent } from './child.ts';
import { percentiles, type RunFigures } from './measure.ts';
import { makeRequests, SIGN_PROFILE_NAMES, type SignProfile } from './sign-profiles.ts';

// Who wants signatures: a process that signs by itself, or asks over the bus as the delivery service does.

export interface SignCallerSetup {
  readonly natsUrl: string;
  readonly masterKey: string;
  readonly deployments: readonly string[];
}

/** By itself, or by the signers of the deployment at this index. */
export type Way = 'in-process' | number;

export type SignLoad =
  /** So many callers, each asks again as soon as it has its signature. */
  | { readonly callers: number }
  /** Open loop. */
  | { readonly ratePerSecond: number };

export interface SignRun {
  readonly kind: 'run';
  readonly way: Way;
  readonly profile: SignProfile;
  readonly load: SignLoad;
  readonly seconds: number;
}

export interface SignRunReport {
  readonly signatures: number;
  readonly seconds: number;
  /** Of one signature. Open loop: from the beginning of the turn in which it was asked for, so those of one turn stand in line. */
  readonly latencyMs: RunFigures['latencyMs'];
  /** Open loop: how late that turn was, which is the timer's and the machine's doing. */
  readonly lateMs?: RunFigures['latencyMs'];
  /** Questions on the bus. */
  readonly batches: number;
}

type Headers = readonly (readonly [string, string])[];
type Sign = (request: SignRequest) => Promise<Headers>;

const TICK_MS = 1;
const NONCE_BYTES = 16;

const ways = new Map<Way, Sign>();
let batches = 0;

async function start({ natsUrl, masterKey, deployments }: SignCallerSetup): Promise<object> {
  const connect = (deployment: string) =>
    connectBus({ servers: natsUrl, name: 'bench', deployment, logger: silentLogger });
  const buses = await Promise.all(deployments.map(connect));
  for (const [i, bus] of buses.entries()) ways.set(i, signOver(bus));
  const [first] = buses;
  if (first === undefined) throw new Error('there is no deployment');
  ways.set('in-process', await signHere(first, masterKey));
  for (const profile of SIGN_PROFILE_NAMES) await checkThatAllAgree(profile);
  return {};
}

/** As `delivery.ports.ts` makes it. */
function signOver(bus: Bus): Sign {
  return makeSignClient({
    request(payload, timeoutMs) {
      batches++;
      return request(bus, bus.topology.signSubject, payload, timeoutMs);
    },
  }).sign;
}

/** What the signer does with each question, without the question. */
async function signHere(bus: Bus, masterKey: string): Promise<Sign> {
  const snapshot = await openRegistrySnapshot(bus);
  const { signBatch } = makeSigning({
    findSubscription: (tenant, id) => snapshot.subscription(tenant, id),
    signingKeys: (tenant) => snapshot.signingKeys(tenant),
    catchUp: () => snapshot.catchUp(),
    masterKey: makeMasterKey(Buffer.from(masterKey, 'base64')),
    headerNamesOf: makeHeaderNamesOf((tenant) => snapshot.tenant(tenant)?.policy?.headerPrefix),
    nonce: () => Buffer.from(randomBytes(NONCE_BYTES)).toString('hex'),
    authorize() {
      throw new Error('nothing is to be authorized');
    },
  });
  return async (one) => headersOf((await signBatch([one]))[0]);
}

function headersOf(reply: SignReply | undefined): Headers {
  if (reply?.ok !== true) throw new Error(`not signed: ${reply?.reason ?? 'no reply'}`);
  return reply.headers;
}

/** Opens the keys as well. */
async function checkThatAllAgree(profile: SignProfile): Promise<void> {
  const one = makeRequests(profile)(0);
  const answers = await Promise.all([...ways.values()].map((sign) => sign(one)));
  const names = new Set(answers.map((headers) => headers.map(([name]) => name).join()));
  if (names.size !== 1) throw new Error(`${profile}: signed with different headers: ${[...names].join(' | ')}`);
}

async function run({ way, profile, load, seconds }: SignRun): Promise<SignRunReport> {
  const sign = ways.get(way);
  if (sign === undefined) throw new Error(`there is no deployment ${way}`);
  const [startedAt, batchesBefore] = [performance.now(), batches];
  const { latenciesMs, latesMs } = await runLoad(load, { sign, requestOf: makeRequests(profile), seconds });
  return {
    signatures: latenciesMs.length,
    seconds: (performance.now() - startedAt) / 1000,
    latencyMs: inOrder(latenciesMs),
    ...(latesMs === undefined ? {} : { lateMs: inOrder(latesMs) }),
    batches: batches - batchesBefore,
  };
}

interface Work {
  readonly sign: Sign;
  readonly requestOf: (n: number) => SignRequest;
  readonly seconds: number;
}

interface Timed {
  readonly latenciesMs: readonly number[];
  readonly latesMs?: readonly number[];
}

function runLoad(load: SignLoad, work: Work): Promise<Timed> {
  return 'callers' in load ? closedLoop(load.callers, work) : openLoop(load.ratePerSecond, work);
}

async function closedLoop(callers: number, { sign, requestOf, seconds }: Work): Promise<Timed> {
  const latenciesMs: number[] = [];
  const endMs = performance.now() + seconds * 1000;
  const call = async () => {
    for (let nowMs = performance.now(); nowMs < endMs;) {
      const askedAtMs = nowMs;
      await sign(requestOf(latenciesMs.length));
      nowMs = performance.now();
      latenciesMs.push(nowMs - askedAtMs);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return { latenciesMs };
}

async function openLoop(ratePerSecond: number, { sign, requestOf, seconds }: Work): Promise<Timed> {
  const [latenciesMs, latesMs]: [number[], number[]] = [[], []];
  const count = Math.round(ratePerSecond * seconds);
  const startMs = performance.now();
  const dueMs = (n: number) => startMs + (n * 1000) / ratePerSecond;
  const one = async (n: number, turnMs: number) => {
    latesMs.push(turnMs - dueMs(n));
    await sign(requestOf(n));
    latenciesMs.push(performance.now() - turnMs);
  };
  const pending: Promise<void>[] = [];
  for (let n = 0; n < count; await delay(TICK_MS)) {
    const turnMs = performance.now();
    for (; n < count && dueMs(n) <= turnMs; n++) pending.push(one(n, turnMs));
  }
  await Promise.all(pending);
  return { latenciesMs, latesMs };
}

function inOrder(valuesMs: readonly number[]): RunFigures['latencyMs'] {
  return percentiles(Float64Array.from(valuesMs, (ms) => ms * 1000).sort(), 3);
}

answerParent((message: SignCallerSetup | SignRun) => ('kind' in message ? run(message) : start(message)));
