import { setTimeout as delay } from 'node:timers/promises';
import { startChild, type Child } from './child.ts';
import { elsewhereShare } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { readUsage, usedBetween } from './process-usage.ts';
import type { SignCallerSetup, SignRun, SignRunReport } from './sign-caller.ts';
import {
  latencyOf,
  LOADED_SHARE,
  paceOf,
  rateRatioOf,
  type Observed,
  type SignPace,
  type SignProfileFigures,
} from './sign-figures.ts';
import type { SignProfile } from './sign-profiles.ts';
import { startSignStage, type SignStage } from './sign-stage.ts';

const WARM_UP_SECONDS = 0.3;
const REPEAT_AFTER_MS = 500;

interface Subject {
  readonly stage: SignStage;
  readonly caller: Child;
  readonly profile: SignProfile;
}

/** One way and one load; each round has all of them. */
type Step = Pick<SignRun, 'way' | 'load'>;

const IN_PROCESS: Step = { way: 'in-process', load: { callers: 1 } };
const MANY: Step = { way: 0, load: { callers: 256 } };
const MANY_OF_TWO_SIGNERS: Step = { way: 1, load: MANY.load };
const PACES: readonly Step[] = [
  IN_PROCESS,
  { way: 0, load: { callers: 1 } },
  { way: 0, load: { callers: 64 } },
  MANY,
  MANY_OF_TWO_SIGNERS,
];

type Say = (line: string) => void;

/** Scenario `sign`: signatures per second and core, and the latency that the way to the signer adds, by profile. */
export async function runSign(options: BenchOptions, say: Say): Promise<readonly SignProfileFigures[]> {
  say('sign: starting nats-server and three signers');
  const stage = await startSignStage(options.profileDir);
  try {
    const { natsUrl, masterKey, installations } = stage;
    const deployments = installations.map(({ deployment }) => deployment);
    const setup: SignCallerSetup = { natsUrl, masterKey, deployments };
    const { child: caller } = await startChild('sign-caller', setup);
    try {
      const all: SignProfileFigures[] = [];
      for (const profile of options.signatures)
        all.push(await measureProfile({ stage, caller, profile }, options, say));
      return all;
    } finally {
      await caller.stop();
    }
  } finally {
    await stage.stop();
  }
}

/** Ways take turns, so that a machine which is busier for a while is so for all of them. */
async function measureProfile(
  subject: Subject,
  { rates, rounds, repeats, seconds }: BenchOptions,
  say: Say,
): Promise<SignProfileFigures> {
  const pairs = rates.map((ratePerSecond) => {
    const load = { ratePerSecond };
    return {
      ratePerSecond,
      inProcess: { way: 'in-process', load } satisfies Step,
      bus: { way: 0, load } satisfies Step,
    };
  });
  const steps: readonly Step[] = [...PACES, ...pairs.flatMap(({ inProcess, bus }) => [inProcess, bus])];
  for (const step of PACES) await observe(subject, step, WARM_UP_SECONDS);
  const observed = new Map<Step, Observed[]>(steps.map((step) => [step, []]));
  for (let round = 1; round <= rounds; round++) {
    say(`sign: ${subject.profile}, round ${round} of ${rounds}`);
    for (const [step, all] of observed) {
      all.push(await observeQuietly(subject, step, { seconds: PACES.includes(step) ? seconds / 2 : seconds, repeats }));
    }
  }
  const of = (step: Step) => observed.get(step) ?? [];
  return {
    profile: subject.profile,
    rounds,
    paces: PACES.map((step) => paceOf(byWhom(subject, step), of(step), of(IN_PROCESS))),
    twoSignersRatio: rateRatioOf(of(MANY_OF_TWO_SIGNERS), of(MANY)),
    latencies: pairs.map(({ ratePerSecond, inProcess, bus }) => latencyOf(ratePerSecond, of(inProcess), of(bus))),
  };
}

function byWhom({ stage }: Subject, step: Step): Pick<SignPace, 'signers' | 'callers'> {
  return { signers: signersOf(stage, step).length, callers: 'callers' in step.load ? step.load.callers : 0 };
}

/** The least disturbed of a step and its repeats. What chooses is what others use, not what is measured. */
async function observeQuietly(
  subject: Subject,
  step: Step,
  { seconds, repeats }: Pick<BenchOptions, 'seconds' | 'repeats'>,
): Promise<Observed> {
  let best = await observe(subject, step, seconds);
  for (let i = 0; i < repeats && best.elsewhereShare > LOADED_SHARE; i++) {
    await delay(REPEAT_AFTER_MS);
    const next = await observe(subject, step, seconds);
    if (next.elsewhereShare < best.elsewhereShare) best = next;
  }
  return best;
}

async function observe({ stage, caller, profile }: Subject, step: Step, seconds: number): Promise<Observed> {
  const [one, two] = stage.installations;
  const pids = { ...one.signers, ...two.signers, caller: caller.pid, nats: stage.natsPid };
  const before = readUsage(pids);
  const order: SignRun = { kind: 'run', profile, ...step, seconds };
  const report = await caller.ask<SignRunReport>(order);
  const used = usedBetween(before, readUsage(pids));
  const usOf = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + (used.cpuMs[name] ?? 0) * 1000, 0) / report.signatures;
  return {
    ...report,
    cpuUs: { signer: usOf(signersOf(stage, step)), caller: usOf(['caller']), nats: usOf(['nats']) },
    elsewhereShare: elsewhereShare(used),
  };
}

/** Those that are asked; the others idle. */
function signersOf({ installations }: SignStage, { way }: Step): readonly string[] {
  return way === 'in-process' ? [] : Object.keys(installations[way]?.signers ?? {});
}
