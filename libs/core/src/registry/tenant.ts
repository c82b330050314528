import type { AllowedRate } from '../handshake/allowed-rate.ts';
import type { TenantId } from '../ids.ts';
import { DEFAULT_HEADER_PREFIX } from '../signature/header-names.ts';

/** What the operator decides for a tenant. */
export interface TenantPolicy {
  /**
   * How much a sink gets that knows no handshake, when consent is optional: all of it, or
   * {@link LOW_RATE_PER_MINUTE} (WH-10).
   */
  readonly unsupportedSinks: 'full' | 'low';
  /** DNS names that may send events to `/publish` (WH-18); `*`: all. Empty: none is told that it may. */
  readonly publishOrigins: readonly string[];
  /** Requests per minute that such a sender is told it may send. Absent: no limit. */
  readonly publishRatePerMinute?: number;
  /** How the names of the headers begin that carry id, time and signature of a notification; see `HeaderNames`. */
  readonly headerPrefix?: string;
  /** Of notifications, and of the requests that ask a sink for its consent. Absent: that of the installation. */
  readonly userAgent?: string;
}

export const DEFAULT_TENANT_POLICY: TenantPolicy = {
  unsupportedSinks: 'full',
  publishOrigins: ['*'],
  headerPrefix: DEFAULT_HEADER_PREFIX,
};

/** "Only at a very low request rate" (http-webhook 4): one notification in six seconds. */
export const LOW_RATE_PER_MINUTE = 10;

export interface Tenant {
  readonly id: TenantId;
  readonly name: string;
  /** Absent: {@link DEFAULT_TENANT_POLICY}. */
  readonly policy?: TenantPolicy;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export function policyOf(tenant: Pick<Tenant, 'policy'> | undefined): TenantPolicy {
  return { ...DEFAULT_TENANT_POLICY, ...tenant?.policy };
}

export function unsupportedRateOf({ unsupportedSinks }: TenantPolicy): AllowedRate {
  return unsupportedSinks === 'full' ? '*' : LOW_RATE_PER_MINUTE;
}

/** Without a policy the one that there is stays. */
export type TenantCommand = {
  readonly kind: 'PutTenant';
  readonly id: TenantId;
  readonly name: string;
  readonly policy?: TenantPolicy;
};

export type TenantEvent =
  | {
      readonly kind: 'TenantCreated';
      readonly id: TenantId;
      readonly name: string;
      readonly policy?: TenantPolicy;
      readonly atMs: number;
      readonly by: string;
    }
  | { readonly kind: 'TenantRenamed'; readonly name: string; readonly atMs: number; readonly by: string }
  /** The policy is another one, and maybe the name. */
  | {
      readonly kind: 'TenantChanged';
      readonly name: string;
      readonly policy: TenantPolicy;
      readonly atMs: number;
      readonly by: string;
    };
