import { z } from 'zod';
import { SUBJECT_ROOTS } from '#contracts/bus/subject-roots';
import { isCidr } from './is-cidr.ts';
import { isNatsServer } from './is-nats-server.ts';

/** Marks a variable whose value is never printed: `secret(z.string())`. */
export function secret<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), secret: true });
}

/** `true`, `false`, `1`, `0` as they are written in an environment. */
export const booleanVariable = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');

/** A decimal integer within bounds. */
export function integerVariable(min: number, max: number): z.ZodType<number, string> {
  return z
    .string()
    .regex(/^-?\d+$/, 'must be an integer')
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));
}

/** A comma-separated list; blanks around items are dropped, an empty text is an empty list. */
export const listVariable = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/** Every problem of the environment at once, one line each. */
export class ConfigError extends Error {
  readonly code = 'config.invalid';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads one service's variables from an environment. Unset and empty variables take the default.
 *
 * @throws ConfigError with every problem, never only the first
 */
export function loadConfig<Schema extends z.ZodObject>(
  schema: Schema,
  env: Readonly<Record<string, string | undefined>>,
): z.output<Schema> {
  const known = Object.keys(schema.shape);
  const given = Object.fromEntries(
    known.map((name) => [name, env[name]]).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new ConfigError(result.error.issues.map((issue) => `${issue.path.join('.')}: ${describeIssue(issue)}`));
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_type' && issue.input === undefined ? 'is required' : issue.message;
}

/** What is printed at start: every variable with its effective value, secrets replaced. */
export function describeConfig(schema: z.ZodObject, config: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(schema.shape).map(([name, variable]) => [name, describeValue(variable as z.ZodType, config[name])]),
  );
}

function describeValue(variable: z.ZodType, value: unknown): string {
  if (value === undefined) return '(unset)';
  if (isSecret(variable)) return '[secret]';
  const text = Array.isArray(value) ? value.join(',') : String(value as string | number | boolean);
  return text.replace(/\/\/[^/@]*@/, '//[secret]@');
}

/** True when the variable or what it wraps (a default, an optional) was marked with {@link secret}. */
export function isSecret(variable: z.ZodType): boolean {
  if (variable.meta()?.['secret'] === true) return true;
  const inner = (variable.def as { innerType?: z.ZodType }).innerType;
  return inner !== undefined && isSecret(inner);
}

/** What every process listens on and how it talks. */
export const serviceVariables = {
  POSTHASTE_HTTP_HOST: z.string().default('127.0.0.1').describe('Address that the HTTP server listens on.'),
  POSTHASTE_HTTP_PORT: integerVariable(0, 65_535)
    .default(8080)
    .describe('Port of the HTTP server; 0 takes any free one.'),
  POSTHASTE_TRUSTED_PROXIES: listVariable
    .refine((ranges) => ranges.every(isCidr), 'must be addresses or CIDR ranges, comma-separated')
    .default([])
    .describe('Proxies whose X-Forwarded-For tells the address of the client: CIDR ranges, comma-separated.'),
  POSTHASTE_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severity that is logged.'),
};

/** Who may ask, and how often one may guess. */
export const accessVariables = {
  POSTHASTE_WRONG_CREDENTIALS_PER_MINUTE: integerVariable(1, 1_000_000)
    .default(100)
    .describe(
      'Unknown API keys and tokens that one address, of IPv6 one /64, may send per minute; above it 429, and the admin token is not listened to from there either. Known API keys go on working.',
    ),
};

/** What is not written like this would never be recognised: a header can not carry it as a Bearer token, or in two ways. */
export const adminTokenVariable = secret(
  z
    .string()
    .min(16, 'must have at least 16 characters')
    .regex(/^[\x21-\x7e]*$/, 'must be of ASCII characters without blanks and line breaks: it is sent in a header'),
);

/** Neither tells the value when it is wrong: there may be a password in it. */
export const natsServersVariable = z
  .string()
  .refine(
    (text) => text.split(',').every((server) => isNatsServer(server.trim())),
    'must be nats:// or tls:// URLs, or host:port, comma-separated',
  );
export const databaseUrlVariable = z.string().regex(/^postgres(?:ql)?:\/\/./, 'must be a postgresql:// URL');

/** How a service reaches JetStream. */
export const busVariables = {
  POSTHASTE_NATS_URL: secret(natsServersVariable.default('nats://127.0.0.1:4222')).describe(
    'NATS servers, comma-separated. Credentials may stand in the URL.',
  ),
  POSTHASTE_DEPLOYMENT: z
    .string()
    .regex(/^(?:[a-z0-9][a-z0-9-]{0,31})?$/, 'must be at most 32 of a-z, 0-9 and -, the first one a letter or digit')
    .refine((name) => !SUBJECT_ROOTS.includes(name), `must be none of ${SUBJECT_ROOTS.join(', ')}`)
    .default('')
    .describe('Prefix of all streams and subjects, so that several installations can share a NATS cluster.'),
  POSTHASTE_STREAM_REPLICAS: z
    .enum(['1', '3', '5'], 'must be 1, 3 or 5')
    .transform(Number)
    .default(1)
    .describe('Replicas of every stream; 3 in a cluster.'),
  POSTHASTE_EVENT_RETENTION_SECONDS: integerVariable(90_000, 31_536_000)
    .default(604_800)
    .describe('How long EVENTS keeps an event (7 days); never under the delivery horizon.'),
  POSTHASTE_DEDUPLICATION_SECONDS: integerVariable(60, 86_400)
    .default(120)
    .describe('How long an event published again with the same source and id is recognised as a duplicate.'),
  POSTHASTE_ACK_WAIT_SECONDS: integerVariable(2, 600)
    .default(60)
    .describe('How long the work of a process that was killed waits before another one takes it over.'),
};

/** What counts as an event; the gateway refuses others, the matcher sets aside what came past it. */
export const eventVariables = {
  POSTHASTE_EVENT_MAX_BYTES: integerVariable(65_536, 8_388_608)
    .default(1_048_576)
    .describe(
      'Largest event, attributes (at most 256 KiB) and data together; above it 413, or a rejected entry for an event that came over NATS. At least 64 KiB (CE-12).',
    ),
};

/** How a service reaches the read side. */
export const storeVariables = {
  POSTHASTE_DATABASE_URL: secret(
    databaseUrlVariable.default('postgresql://posthaste@127.0.0.1:5432/posthaste'),
  ).describe('PostgreSQL (15 or newer).'),
};

/** What is allowed as a sink, beyond https to public addresses. */
export const sinkVariables = {
  POSTHASTE_SINK_ALLOW: listVariable
    .superRefine((items, context) => {
      for (const item of items.filter((text) => !isCidr(text))) {
        context.addIssue({ code: 'custom', message: `"${item}" is not a CIDR such as 10.1.0.0/16 or fd00::/8` });
      }
    })
    .default([])
    .describe('CIDRs exempt from the private-address guard, comma-separated, for example 10.1.0.0/16.'),
  POSTHASTE_SINK_HTTP: booleanVariable.default(false).describe('true permits http:// sinks.'),
  POSTHASTE_INBOX_URL: z
    .string()
    .optional()
    .describe('Base URL of the built-in inbox, always allowed as a sink. Set by the all-in-one.'),
};

/** How whoever sends something out gets there; {@link sinkVariables} say where it may go. */
export const egressVariables = {
  POSTHASTE_SINK_CA_FILE: z
    .string()
    .optional()
    .describe('PEM file of certificate authorities trusted for sinks, in addition to the well-known ones.'),
  POSTHASTE_SINK_SOCKETS: integerVariable(1, 10_000)
    .default(64)
    .describe('Connections per process to one sink (scheme, host and port); requests beyond wait for a free one.'),
  POSTHASTE_SINK_HTTP2: booleanVariable
    .default(false)
    .describe('true offers HTTP/2 to sinks as well; they choose (ALPN). false: HTTP/1.1.'),
  POSTHASTE_SINK_PROXY_URL: secret(
    z.string().refine(isProxyUrl, 'must be http://[user:password@]host:port or https://…, without a path').optional(),
  ).describe('Forward proxy (CONNECT) for http:// and https:// sinks. Unset: sinks are connected to directly.'),
  POSTHASTE_SINK_NO_PROXY: listVariable
    .superRefine((items, context) => {
      for (const item of items.filter((text) => !isProxyException(text))) {
        context.addIssue({ code: 'custom', message: `"${item}" is neither a name, nor an address, nor a CIDR` });
      }
    })
    .default([])
    .describe(
      'Sinks that are reached without the proxy, comma-separated: names with all below them, addresses, CIDRs, *.',
    ),
  POSTHASTE_SINK_PROXY_RESOLVES: booleanVariable
    .default(false)
    .describe(
      'true leaves the names of sinks to the proxy, which then has to refuse private addresses itself. false: names are resolved and judged here.',
    ),
};

/** What {@link sinkVariables} and {@link egressVariables} are read as. */
export type EgressConfig = z.output<z.ZodObject<typeof sinkVariables & typeof egressVariables>>;

function isProxyUrl(text: string): boolean {
  const url = URL.parse(text);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  return isHttp && url.pathname === '/' && url.search === '' && url.hash === '';
}

function isProxyException(text: string): boolean {
  return isCidr(text) || /^(?:\*|(?:\*?\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(text);
}

/** How others see this installation. */
export const publicVariables = {
  POSTHASTE_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe('URL under which others reach the gateway: sinks confirm there. Unset: they are offered no callback.'),
  POSTHASTE_ORIGIN: z
    .string()
    .regex(/^(?=.{1,253}$)[a-zA-Z0-9-]{1,63}(\.[a-zA-Z0-9-]{1,63})*$/, 'must be a DNS name')
    .optional()
    .describe(
      'DNS name that sinks are asked to allow (WebHook-Request-Origin); default: the host of POSTHASTE_PUBLIC_URL, or posthaste.local.',
    ),
};
