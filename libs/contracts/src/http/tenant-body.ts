import { z } from 'zod';
import { DEFAULT_TENANT_POLICY, policyOf, type Tenant, type TenantPolicy } from '#core/registry/tenant';
import { isUserAgent, USER_AGENT_MAX_LENGTH } from '#core/registry/user-agent';
import {
  DEFAULT_HEADER_PREFIX,
  hasOtherMeaning,
  HEADER_PREFIX_MAX_LENGTH,
  isHeaderPrefix,
} from '#core/signature/header-names';
import { required, strictMembers } from './violations.ts';

const NAME_MAX_LENGTH = 200;

/** Free text for people: 1 to 200 characters without control characters. */
export const displayName = z
  .string(required('a text'))
  .min(1, 'This must not be empty; leave it out instead.')
  .max(NAME_MAX_LENGTH, `This must be at most ${NAME_MAX_LENGTH} characters.`)
  .regex(/^\P{Cc}*$/u, 'This must not contain control characters.');

const originName = z
  .string(required('a DNS name, or "*"'))
  .regex(
    /^(?:\*|(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*)$/i,
    'This must be a DNS name such as events.example.com, or "*" for all.',
  );

const headerPrefix = z
  .string(required('how the names of headers begin, such as acme'))
  .superRefine((prefix, context) => {
    const message = whatIsWrongWithPrefix(prefix);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

function whatIsWrongWithPrefix(prefix: string): string | undefined {
  if (!isHeaderPrefix(prefix)) {
    return `This must be 1 to ${HEADER_PREFIX_MAX_LENGTH} of a-z, 0-9, and "-" between them, such as acme for acme-signature.`;
  }
  return hasOtherMeaning(prefix)
    ? `Headers such as ${prefix}-id have another meaning; choose another prefix, such as the name of a product.`
    : undefined;
}

const userAgent = z
  .string(required('a User-Agent such as Acme-Hooks/1.0'))
  .max(USER_AGENT_MAX_LENGTH, `This must be at most ${USER_AGENT_MAX_LENGTH} characters.`)
  .refine(
    isUserAgent,
    'This must be products such as Acme-Hooks/1.0 and comments in parentheses, with blanks between, in ASCII (RFC 9110 10.1.5).',
  );

/** Replaced as a whole: what it leaves out is default. Left out itself, the policy that there is stays. */
const policy = strictMembers({
  unsupportedSinks: z
    .enum(['full', 'low'], 'This must be "full" or "low".')
    .default(DEFAULT_TENANT_POLICY.unsupportedSinks),
  publishOrigins: z
    .array(originName, required('an array of DNS names'))
    .max(100, 'This must name at most 100 origins.')
    .default([...DEFAULT_TENANT_POLICY.publishOrigins]),
  publishRatePerMinute: z
    .int(required('a whole number of requests per minute'))
    .min(1, 'This must be at least 1; leave it out for no limit.')
    .max(1_000_000_000, 'This must be at most 1000000000; leave it out for no limit.')
    .optional(),
  headerPrefix: headerPrefix.default(DEFAULT_HEADER_PREFIX),
  userAgent: userAgent.optional(),
}).transform(({ publishRatePerMinute: rate, userAgent: agent, ...rest }): TenantPolicy => ({
  ...rest,
  ...(rate === undefined ? {} : { publishRatePerMinute: rate }),
  ...(agent === undefined ? {} : { userAgent: agent }),
}));

/** Body of `PUT /v1/tenants/{tenant}`; the body may be empty as well. */
export const tenantBody = strictMembers({ name: displayName.optional(), policy: policy.optional() });

/** How a tenant is shown. */
export interface TenantResource {
  readonly id: string;
  readonly name: string;
  /** With every default. */
  readonly policy: TenantPolicy;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export function tenantToResource(tenant: Tenant): TenantResource {
  return {
    id: tenant.id,
    name: tenant.name,
    policy: policyOf(tenant),
    createdAt: new Date(tenant.createdAtMs).toISOString(),
    updatedAt: new Date(tenant.updatedAtMs).toISOString(),
  };
}
