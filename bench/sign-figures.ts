import type { SignRunReport } from './sign-caller.ts';
import type { SignProfile } from './sign-profiles.ts';
import { spreadOf, type Spread } from './spread.ts';

/** Above it other programs are part of every figure. */
export const LOADED_SHARE = 0.05;

/** CPU microseconds of a signature by who used them; the caller asks, and in-process it signs. */
type CpuUs = Readonly<Record<'signer' | 'caller' | 'nats', number>>;

/** One way, for a while. */
export interface Observed extends SignRunReport {
  readonly cpuUs: CpuUs;
  readonly elsewhereShare: number;
}

/** As fast as it goes, one way. Each figure is of the rounds. */
export interface SignPace {
  /** 0: in the process of the caller. */
  readonly signers: number;
  readonly callers: number;
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** Signatures of one question. */
  readonly perBatch: Spread;
  readonly cpuUs: Readonly<Record<keyof CpuUs, Spread>>;
  /** Signatures for a second of CPU of who signs. */
  readonly perSecondPerCore: Spread;
  /** The same ÷ that of in-process in the same round. */
  readonly perCoreRatio: Spread;
  readonly elsewhereShare: Spread;
}

/** At a fixed rate: over the bus, and in-process. Milliseconds. */
export interface SignLatency {
  readonly ratePerSecond: number;
  readonly inProcess: Readonly<Record<'p50' | 'p99' | 'late99', Spread>>;
  readonly bus: Readonly<Record<'p50' | 'p99' | 'late99', Spread>>;
  /** What the bus adds, of each round. */
  readonly addedP50: Spread;
  readonly addedP99: Spread;
  /** Over the bus. */
  readonly perBatch: Spread;
  readonly cpuUs: Readonly<Record<keyof CpuUs, Spread>>;
  readonly elsewhereShare: Spread;
}

export interface SignProfileFigures {
  readonly profile: SignProfile;
  readonly rounds: number;
  readonly paces: readonly SignPace[];
  /** Two signers ÷ one, signatures per second. */
  readonly twoSignersRatio: Spread;
  readonly latencies: readonly SignLatency[];
}

/** @param inProcess of the same rounds; it may be `all` */
export function paceOf(
  by: Pick<SignPace, 'signers' | 'callers'>,
  all: readonly Observed[],
  inProcess: readonly Observed[],
): SignPace {
  const perCore = by.signers === 0 ? perCallerCore : perSignerCore;
  const spread = (value: (one: Observed) => number) => spreadOf(all.map(value));
  return {
    ...by,
    perSecond: spread(rateOf),
    p50Ms: spread(({ latencyMs }) => latencyMs.p50),
    p99Ms: spread(({ latencyMs }) => latencyMs.p99),
    ...costOf(all),
    perSecondPerCore: spread(perCore),
    perCoreRatio: spreadOfPairs(all, inProcess, (one, here) => perCore(one) / perCallerCore(here)),
    elsewhereShare: spread((one) => one.elsewhereShare),
  };
}

export function latencyOf(
  ratePerSecond: number,
  inProcess: readonly Observed[],
  bus: readonly Observed[],
): SignLatency {
  const of = (all: readonly Observed[]) => ({
    p50: spreadOf(all.map(({ latencyMs }) => latencyMs.p50)),
    p99: spreadOf(all.map(({ latencyMs }) => latencyMs.p99)),
    late99: spreadOf(all.map(({ lateMs }) => lateMs?.p99 ?? Number.NaN)),
  });
  return {
    ratePerSecond,
    inProcess: of(inProcess),
    bus: of(bus),
    addedP50: spreadOfPairs(bus, inProcess, (there, here) => there.latencyMs.p50 - here.latencyMs.p50),
    addedP99: spreadOfPairs(bus, inProcess, (there, here) => there.latencyMs.p99 - here.latencyMs.p99),
    ...costOf(bus),
    elsewhereShare: spreadOf([...inProcess, ...bus].map((one) => one.elsewhereShare)),
  };
}

function costOf(all: readonly Observed[]): Pick<SignPace, 'perBatch' | 'cpuUs'> {
  const cpuUs = (who: keyof CpuUs) => spreadOf(all.map((one) => one.cpuUs[who]));
  return {
    perBatch: spreadOf(all.map(({ signatures, batches }) => signatures / Math.max(1, batches))),
    cpuUs: { signer: cpuUs('signer'), caller: cpuUs('caller'), nats: cpuUs('nats') },
  };
}

/** Signatures per second of those ÷ of the others. */
export function rateRatioOf(those: readonly Observed[], others: readonly Observed[]): Spread {
  return spreadOfPairs(those, others, (one, other) => rateOf(one) / rateOf(other));
}

/** Of the same rounds. */
function spreadOfPairs(
  those: readonly Observed[],
  others: readonly Observed[],
  value: (one: Observed, other: Observed) => number,
): Spread {
  return spreadOf(those.flatMap((one, i) => (others[i] === undefined ? [] : [value(one, others[i])])));
}

function rateOf({ signatures, seconds }: Observed): number {
  return signatures / seconds;
}

function perSignerCore({ cpuUs }: Observed): number {
  return 1e6 / cpuUs.signer;
}

function perCallerCore({ cpuUs }: Observed): number {
  return 1e6 / cpuUs.caller;
}
