import { availableParallelism } from 'node:os';
import { LOADED_SHARE, type SignLatency, type SignPace, type SignProfileFigures } from './sign-figures.ts';
import type { Spread } from './spread.ts';
import { table } from './table.ts';

/** For people: medians of the rounds, and in parentheses the lowest and the highest of them. */
export function signLines(all: readonly SignProfileFigures[]): string[] {
  return [
    `sign: as fast as it goes, bodies of 1 KiB, medians of ${all[0]?.rounds ?? 0} rounds (lowest–highest)`,
    '',
    ...table([
      PACE_HEAD,
      ...all.flatMap(({ profile, paces }) => paces.map((pace, i) => paceRow(i === 0 ? profile : '', pace))),
    ]),
    '',
    'per core: signatures for a second of CPU of who signs: the signers, or in-process the caller.',
    '',
    'sign: at a fixed rate, one signer, milliseconds from the turn in which a signature is asked for until it is there',
    '',
    ...table([
      LATENCY_HEAD,
      ...all.flatMap(({ profile, latencies }) => latencies.map((one, i) => latencyRow(i === 0 ? profile : '', one))),
    ]),
    '',
    'late: how long after its instant a signature was asked for, p99: the timer and the machine, on both ways.',
    `two signers ÷ one, 256 callers of one process: ${all.map(({ profile, twoSignersRatio }) => `${profile} ${withRange(twoSignersRatio, 2)}`).join(', ')}`,
    `  caller, nats-server and signers share ${availableParallelism()} cores: what a second signer gives is what they have left.`,
    ...loadLines(all),
  ];
}

const PACE_HEAD = [
  'profile',
  'signed by',
  'callers',
  'signatures/s',
  'p50 ms',
  'p99 ms',
  'per question',
  'CPU-µs: signer',
  'caller',
  'nats',
  'per core',
  '÷ in-process',
  'elsewhere',
];

function paceRow(profile: string, pace: SignPace): string[] {
  const { signers, callers, perSecond, p50Ms, p99Ms, perBatch, cpuUs, perSecondPerCore, perCoreRatio } = pace;
  const isBus = signers > 0;
  const onBus = (text: string) => (isBus ? text : '');
  return [
    profile,
    isBus ? `${signers} signer${signers === 1 ? '' : 's'}` : 'in-process',
    String(callers),
    withRange(perSecond, 0),
    p50Ms.median.toFixed(3),
    p99Ms.median.toFixed(3),
    onBus(perBatch.median.toFixed(0)),
    onBus(cpuUs.signer.median.toFixed(1)),
    cpuUs.caller.median.toFixed(1),
    onBus(cpuUs.nats.median.toFixed(1)),
    perSecondPerCore.median.toFixed(0),
    onBus(withRange(perCoreRatio, 2)),
    percent(pace.elsewhereShare),
  ];
}

const LATENCY_HEAD = [
  'profile',
  'rate',
  'in-process p50',
  'p99',
  'late',
  'bus p50',
  'p99',
  'late',
  'added p50',
  'added p99',
  'per question',
  'CPU-µs: signer',
  'caller',
  'nats',
  'elsewhere',
];

function latencyRow(profile: string, one: SignLatency): string[] {
  const ways = [one.inProcess, one.bus].flatMap(({ p50, p99, late99 }) => [
    p50.median.toFixed(3),
    p99.median.toFixed(3),
    late99.median.toFixed(1),
  ]);
  const added = [withRange(one.addedP50, 2), withRange(one.addedP99, 2)];
  const { signer, caller, nats } = one.cpuUs;
  const cost = [one.perBatch, signer, caller, nats].map(({ median }, i) => median.toFixed(i === 0 ? 1 : 0));
  return [profile, `${one.ratePerSecond}/s`, ...ways, ...added, ...cost, percent(one.elsewhereShare)];
}

/** Says it in words: a table with a column of shares is read without it. */
function loadLines(all: readonly SignProfileFigures[]): string[] {
  const shares = all.flatMap(({ paces, latencies }) => [...paces, ...latencies].map((one) => one.elsewhereShare.max));
  const loaded = shares.filter((share) => share > LOADED_SHARE).length;
  if (loaded === 0) return [];
  const most = Math.round(Math.max(...shares) * 100);
  return [
    '',
    `THE MACHINE WAS LOADED: in ${loaded} of ${shares.length} rows other programs took more than ${LOADED_SHARE * 100} % of it in some round, at most ${most} %.`,
  ];
}

function withRange({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

function percent({ median }: Spread): string {
  return `${Math.round(median * 100)} %`;
}
