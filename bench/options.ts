import { parseArgs } from 'node:util';
import { SIGN_PROFILE_NAMES, type SignProfile } from './sign-profiles.ts';

const SCENARIOS = ['bare', 'steady', 'isolation', 'fairness', 'flood', 'sign'] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

export interface BenchOptions {
  readonly scenarios: readonly ScenarioName[];
  /** Events of the max-rate run. */
  readonly events: number;
  /** Events per second of the open-loop run. */
  readonly rate: number;
  /** Signatures per second, one open-loop run of `sign` with each. */
  readonly rates: readonly number[];
  /** In which the ways that `sign` compares take turns. */
  readonly rounds: number;
  /** How often a step of `sign` is repeated when others disturbed it. */
  readonly repeats: number;
  /** That `sign` measures. */
  readonly signatures: readonly SignProfile[];
  /** Length of the open-loop run, seconds. */
  readonly seconds: number;
  /** Events before anything is measured: the compiler has to see the code first. */
  readonly warmUp: number;
  readonly tls: boolean;
  readonly allInOne: boolean;
  readonly delivery: number;
  /** Numbers of delivery processes, one run of `isolation` with each. */
  readonly workers: readonly number[];
  /** Deliveries to sinks in trouble, or of the burst; events of the flood. */
  readonly backlog: number;
  /** Per second, as they come. */
  readonly backlogRate: number;
  readonly matcher: number;
  readonly producer: 'http' | 'nats';
  /** Where the services leave their CPU profiles. */
  readonly profileDir: string | undefined;
  /** `-` for standard output. */
  readonly json: string | undefined;
}

const USAGE = `npm run bench -- [scenario] [options]
  --quick               20 s in all (sign 80): for a look, not for a figure
  --scenario NAME       ${SCENARIOS.join(' | ')}; default bare and steady
  --events N            of the max-rate run, default 20000
  --rate N              events/s of the open-loop run, default 400; isolation 100, fairness and flood 20, sign 500 and 2000
  --seconds N           length of the open-loop run, default 20; isolation and fairness 60, flood 10, sign 2
  --rounds N            of sign, default 5
  --repeats N           of sign: a step is repeated so often while others take more than 5 % of the machine, default 0
  --signature NAME      of sign, only this one: ${SIGN_PROFILE_NAMES.join(' | ')}
  --backlog N           deliveries to bad sinks (isolation) or of the burst (fairness), events of the flood, default 100000
  --backlog-rate N      of them per second (isolation), default 500
  --plain               http:// sinks instead of https://
  --all-in-one          steady in one process instead of one per service
  --delivery N, --matcher N    processes, default 1; isolation runs with 1 and with 3 delivery processes
  --producer NAME       http (through the gateway, default) | nats (straight onto EVENTS)
  --profile DIR         CPU profiles of the services
  --json [FILE]         result as JSON, to a file or to standard output
`;

const QUEUE_DEFAULTS = { rate: '400', seconds: '20', quickSeconds: '3' };
const DEFAULTS: Record<ScenarioName, { rate: string; seconds: string; quickSeconds: string }> = {
  bare: QUEUE_DEFAULTS,
  steady: QUEUE_DEFAULTS,
  isolation: { rate: '100', seconds: '60', quickSeconds: '15' },
  fairness: { rate: '20', seconds: '60', quickSeconds: '10' },
  flood: { rate: '20', seconds: '10', quickSeconds: '5' },
  sign: { rate: '500', seconds: '2', quickSeconds: '1' },
};

/** @throws Error with the usage when an option is wrong or help is asked for */
export function readOptions(args: readonly string[]): BenchOptions {
  const jsonAt = args.indexOf('--json');
  const jsonTarget = jsonAt >= 0 ? args[jsonAt + 1] : undefined;
  const json = jsonAt < 0 ? undefined : jsonTarget === undefined || jsonTarget.startsWith('--') ? '-' : jsonTarget;
  const rest = jsonAt < 0 ? [...args] : args.filter((_, i) => i !== jsonAt && !(i === jsonAt + 1 && json !== '-'));
  const { values, positionals } = parseArgs({
    args: rest,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      events: { type: 'string' },
      rate: { type: 'string' },
      rounds: { type: 'string' },
      repeats: { type: 'string' },
      signature: { type: 'string' },
      backlog: { type: 'string' },
      'backlog-rate': { type: 'string', default: '500' },
      seconds: { type: 'string' },
      plain: { type: 'boolean', default: false },
      'all-in-one': { type: 'boolean', default: false },
      delivery: { type: 'string' },
      matcher: { type: 'string', default: '1' },
      producer: { type: 'string', default: 'http' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) throw new Error(USAGE);
  if (positionals.length > 1) throw new Error(`one scenario at a time\n\n${USAGE}`);
  const { quick } = values;
  const scenarios = oneOf(values.scenario ?? positionals[0], SCENARIOS) ?? ['bare', 'steady'];
  const byScenario = DEFAULTS[scenarios[0] ?? 'steady'];
  return {
    scenarios,
    events: wholeNumber(values.events ?? (quick ? '4000' : '20000')),
    rate: wholeNumber(values.rate ?? byScenario.rate),
    rates: values.rate === undefined ? [500, 2000] : [wholeNumber(values.rate)],
    rounds: wholeNumber(values.rounds ?? (quick ? '2' : '5')),
    repeats: values.repeats === undefined ? 0 : wholeNumber(values.repeats),
    signatures: oneOf(values.signature, SIGN_PROFILE_NAMES) ?? SIGN_PROFILE_NAMES,
    seconds: wholeNumber(values.seconds ?? (quick ? byScenario.quickSeconds : byScenario.seconds)),
    backlog: wholeNumber(values.backlog ?? (quick ? '10000' : '100000')),
    backlogRate: wholeNumber(values['backlog-rate']),
    warmUp: quick ? 500 : 3000,
    tls: !values.plain,
    allInOne: values['all-in-one'],
    delivery: wholeNumber(values.delivery ?? '1'),
    workers: values.delivery === undefined ? [1, 3] : [wholeNumber(values.delivery)],
    matcher: wholeNumber(values.matcher),
    producer: oneOf(values.producer, ['http', 'nats'])?.[0] ?? 'http',
    profileDir: values.profile,
    json,
  };
}

function oneOf<T extends string>(value: string | undefined, known: readonly T[]): readonly T[] | undefined {
  if (value === undefined) return undefined;
  const found = known.find((one) => one === value);
  if (found === undefined) throw new Error(`${value} is none of ${known.join(', ')}\n\n${USAGE}`);
  return [found];
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${text} is not a whole number\n\n${USAGE}`);
  return value;
}
