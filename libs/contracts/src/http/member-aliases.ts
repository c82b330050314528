import { jsonPointer, type Violation } from './violations.ts';

type Members = Readonly<Record<string, unknown>>;

/** Names of the drafts before February 2025, which are still sent (D14). */
const BODY_ALIASES: Readonly<Record<string, string>> = {
  protocolSettings: 'protocolsettings',
  sinkCredential: 'sinkcredential',
  sinkCredentials: 'sinkcredential',
};

const CREDENTIAL_ALIASES: Readonly<Record<string, string>> = {
  credentialType: 'credentialtype',
  accessToken: 'accesstoken',
  accessTokenExpiresUtc: 'accesstokenexpiresutc',
  accessTokenType: 'accesstokentype',
  refreshToken: 'refreshtoken',
  refreshTokenEndpoint: 'refreshtokenendpoint',
  tokenEndpoint: 'tokenendpoint',
  clientId: 'clientid',
  clientSecret: 'clientsecret',
};

export interface Unaliased {
  readonly value: unknown;
  /** Members that were given twice, by both of their names. */
  readonly violations: readonly Violation[];
  /** The pointer into what was sent, of a pointer into `value`. */
  pointerAsSent(pointer: string): string;
}

/** A subscription body with today's names in place of the older camelCase ones. */
export function withoutAliases(body: unknown): Unaliased {
  if (!isMembers(body)) return { value: body, violations: [], pointerAsSent: (pointer) => pointer };
  const outer = rename(body, BODY_ALIASES, []);
  const credentialName = outer.sentAs.get('sinkcredential') ?? 'sinkcredential';
  const { sinkcredential } = outer.value;
  const inner = isMembers(sinkcredential)
    ? rename(sinkcredential, CREDENTIAL_ALIASES, [credentialName])
    : { value: sinkcredential, violations: [], sentAs: new Map<string, string>() };
  return {
    value: 'sinkcredential' in outer.value ? { ...outer.value, sinkcredential: inner.value } : outer.value,
    violations: [...outer.violations, ...inner.violations],
    pointerAsSent: (pointer) => {
      const [root, first = '', second, ...rest] = pointer.split('/');
      const sentSecond = first === 'sinkcredential' && second !== undefined ? inner.sentAs.get(second) : undefined;
      const steps = [outer.sentAs.get(first) ?? first, ...(second === undefined ? [] : [sentSecond ?? second])];
      return first === '' && second === undefined ? pointer : [root, ...steps, ...rest].join('/');
    },
  };
}

function rename(members: Members, aliases: Readonly<Record<string, string>>, path: readonly string[]) {
  const value: Record<string, unknown> = {};
  const sentAs = new Map<string, string>();
  const violations: Violation[] = [];
  for (const [name, member] of Object.entries(members)) {
    const current = Object.hasOwn(aliases, name) ? (aliases[name] ?? name) : name;
    if (Object.hasOwn(value, current)) {
      const detail = `This is the same member as ${sentAs.get(current) ?? current}; leave one of them out.`;
      violations.push({ pointer: jsonPointer([...path, name]), detail });
      continue;
    }
    define(value, current, member);
    if (current !== name) sentAs.set(current, name);
  }
  return { value: value as Members, sentAs, violations };
}

/** Not by assignment: `__proto__` is a name like any other in JSON. */
function define(target: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, writable: true, configurable: true });
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
