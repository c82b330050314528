import { isTenantId, type ApiKeyId, type TenantId } from '#core/ids';
import { API_KEY_SCOPES, type ApiKey, type ApiKeyScope } from '#core/registry/api-key';
import { constantTimeEqual, sha256Hex } from './digest.ts';
import { makeKeyRates } from './key-rates.ts';
import { ProblemError, unavailable } from './problem.ts';
import { makeTokenGuesses, type TokenGuesses } from './token-guesses.ts';
import type { Clock } from './tokens.ts';

/** Who commands, and from where: what the record of a command says. */
export interface Caller {
  /** `admin`, the id of an API key, or the part of Posthaste that does it by itself. */
  readonly by: string;
  /** Address of the client. Absent: nobody asked over HTTP. */
  readonly from?: string;
}

/** Who asks, and for which tenant. */
export interface Principal extends Caller {
  readonly by: 'admin' | ApiKeyId;
  readonly isAdmin: boolean;
  /** The key's tenant, or the one that an admin named in `Posthaste-Tenant`; undefined when an admin named none. */
  readonly tenant: TenantId | undefined;
  readonly scopes: readonly ApiKeyScope[];
}

export interface AuthenticationPorts {
  /** The operator's token; at least 16 characters. */
  readonly adminToken: string;
  /** The live key with this SHA-256 (hex), or undefined. Throws when that cannot be known now. */
  findApiKey(hash: string): Promise<ApiKey | undefined>;
  /** Whether a tenant that an admin named exists. Unset: not checked. */
  hasTenant?(tenant: TenantId): Promise<boolean>;
  /** Told of every request with a key. Must neither wait nor throw. */
  onKeyUsed?(key: ApiKey, address: string): void;
  /** Wrong credentials from one address before it has to wait. */
  readonly guessesPerMinute: number;
  readonly now: Clock;
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Answers who sends a request, from `Authorization: Bearer <admin token | phk_…>` and `Posthaste-Tenant`.
 *
 * @param address of the client, as far as it is known: wrong credentials are counted by it
 * @throws ProblemError 401 without a valid credential, 429 with Retry-After for too many wrong ones or a key over its
 * rate, 400, 403 or 404 for a wrong `Posthaste-Tenant`, 503 when keys cannot be looked up
 */
export type Authenticate = (headers: Headers, address?: string) => Promise<Principal>;

/** `phk_` and the base64url of 32 bytes. Anything else is refused without a look-up. */
const API_KEY = /^phk_[A-Za-z0-9_-]{43}$/;
const BEARER = /^Bearer +(\S+) *$/i;

export function makeAuthenticate(ports: AuthenticationPorts): Authenticate {
  const guesses = makeTokenGuesses(ports.now, ports.guessesPerMinute);
  const rates = makeKeyRates(ports.now);
  return async (headers, address = '') => {
    const token = bearerToken(headers['authorization']);
    if (token === undefined) throw unauthorized('missing-credential', HOW_TO_AUTHENTICATE);
    const named = headers['posthaste-tenant'];
    // A key is looked up first: its hash is needed anyway, the comparison with the admin token would cost two more.
    const key = API_KEY.test(token) ? await findKey(ports, token) : undefined;
    if (key === undefined) {
      refuseGuessing(guesses, address);
      if (constantTimeEqual(token, ports.adminToken))
        return { ...(await adminPrincipal(named, ports)), ...fromOf(address) };
      guesses.failed(address);
      throw unauthorized('invalid-credential', `This key or token is not known. ${HOW_TO_AUTHENTICATE}`);
    }
    if (key.expiresAtMs !== undefined && key.expiresAtMs <= ports.now()) throw expired(key.id, key.expiresAtMs);
    if (named !== undefined && named !== key.tenant) throw foreignTenant(key.tenant);
    const waitMs = key.requestsPerMinute === undefined ? 0 : rates.take(key.id, key.requestsPerMinute);
    if (waitMs > 0) throw overRate(key.id, key.requestsPerMinute, waitMs);
    ports.onKeyUsed?.(key, address);
    return { by: key.id, ...fromOf(address), isAdmin: false, tenant: key.tenant, scopes: key.scopes };
  };
}

/**
 * The usual look-up: in a fold of the registry, and on a miss once more when it has caught up, because a key may be used
 * the moment after it was made elsewhere.
 */
export function makeApiKeyFinder(snapshot: {
  apiKeyByHash(hash: string): ApiKey | undefined;
  catchUp(): Promise<void>;
}): AuthenticationPorts['findApiKey'] {
  return async (hash) => {
    const known = snapshot.apiKeyByHash(hash);
    if (known !== undefined) return known;
    await snapshot.catchUp();
    return snapshot.apiKeyByHash(hash);
  };
}

/**
 * The tenant that the principal acts for, if it may.
 *
 * @param anyOf the scopes of which one is enough
 * @throws ProblemError 403 naming the scopes, 400 when an admin did not say for which tenant
 */
export function requireScope(principal: Principal, ...anyOf: readonly ApiKeyScope[]): TenantId {
  if (principal.tenant === undefined) {
    throw new ProblemError({
      status: 400,
      code: 'tenant-required',
      detail: 'The admin token belongs to no tenant: say for which one you act with the header Posthaste-Tenant.',
      errors: [{ pointer: 'posthaste-tenant', detail: 'The header is missing.' }],
    });
  }
  if (!principal.scopes.includes('admin') && !anyOf.some((scope) => principal.scopes.includes(scope))) {
    const needed = anyOf.join(' or ');
    const has = principal.scopes.join(', ');
    throw forbidden('scope-missing', `This needs the scope ${needed}; the API key ${principal.by} has ${has}.`);
  }
  return principal.tenant;
}

/** Of a principal what is recorded. */
export function callerOf({ by, from }: Caller): Caller {
  return { by, ...(from === undefined ? {} : { from }) };
}

/** @throws ProblemError 403 for everybody but the operator */
export function requireAdmin(principal: Principal): void {
  if (!principal.isAdmin) throw forbidden('admin-required', 'Only the admin token may do this; API keys may not.');
}

/** Who guesses waits, and what is sent meanwhile is not even compared: a right guess would tell that it was one. */
function refuseGuessing(guesses: TokenGuesses, address: string): void {
  const waitMs = guesses.waitMs(address);
  if (waitMs === 0) return;
  const detail = 'Too many wrong credentials came from this address. API keys that are known go on working.';
  throw tooMany('too-many-guesses', detail, waitMs);
}

function overRate(id: ApiKeyId, requestsPerMinute: number | undefined, waitMs: number): ProblemError {
  const detail = `The API key ${id} may make ${requestsPerMinute ?? 0} requests per minute. Nothing was done; send the same request again later.`;
  return tooMany('key-rate-exceeded', detail, waitMs);
}

function tooMany(code: string, detail: string, waitMs: number): ProblemError {
  return new ProblemError({ status: 429, code, detail, headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) } });
}

function expired(id: ApiKeyId, expiresAtMs: number): ProblemError {
  const at = new Date(expiresAtMs).toISOString();
  return unauthorized('credential-expired', `The API key ${id} expired at ${at}. Ask the operator for a new one.`);
}

const HOW_TO_AUTHENTICATE = 'Send "Authorization: Bearer <API key>" with a key of a tenant (phk_…) or the admin token.';

/** Where nobody knows the address, as in tests without a socket, none is recorded. */
function fromOf(address: string): Pick<Caller, 'from'> {
  return address === '' ? {} : { from: address };
}

function bearerToken(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? BEARER.exec(header)?.[1] : undefined;
}

async function findKey(ports: AuthenticationPorts, token: string): Promise<ApiKey | undefined> {
  return orUnavailable(ports.findApiKey(sha256Hex(token)));
}

async function adminPrincipal(
  named: string | readonly string[] | undefined,
  ports: AuthenticationPorts,
): Promise<Principal> {
  const admin = { by: 'admin', isAdmin: true, scopes: API_KEY_SCOPES } as const;
  if (named === undefined) return { ...admin, tenant: undefined };
  if (typeof named !== 'string' || !isTenantId(named)) {
    const detail = 'A tenant id is 1 to 63 of a-z, 0-9 and -, starting and ending with a letter or digit.';
    const errors = [{ pointer: 'posthaste-tenant', detail }];
    throw new ProblemError({
      status: 400,
      code: 'tenant-invalid',
      detail: `Posthaste-Tenant is not valid. ${detail}`,
      errors,
    });
  }
  if (ports.hasTenant !== undefined && !(await orUnavailable(ports.hasTenant(named)))) {
    const detail = `There is no tenant ${named}. Create it with PUT /v1/tenants/${named}.`;
    throw new ProblemError({ status: 404, code: 'tenant-unknown', detail });
  }
  return { ...admin, tenant: named };
}

async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw unavailable('registry-unavailable', 'Credentials cannot be checked now: the registry is away.', error);
  }
}

function unauthorized(
  code: 'missing-credential' | 'invalid-credential' | 'credential-expired',
  detail: string,
): ProblemError {
  const challenge = code === 'missing-credential' ? '' : ', error="invalid_token"';
  const headers = { 'www-authenticate': `Bearer realm="posthaste"${challenge}` };
  return new ProblemError({ status: 401, code, detail, headers });
}

function forbidden(code: string, detail: string): ProblemError {
  return new ProblemError({ status: 403, code, detail });
}

function foreignTenant(tenant: TenantId): ProblemError {
  return forbidden(
    'tenant-forbidden',
    `This API key belongs to tenant ${tenant}. Leave the header Posthaste-Tenant out.`,
  );
}
