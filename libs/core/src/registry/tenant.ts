import type { TenantId } from '../ids.ts';

export interface Tenant {
  readonly id: TenantId;
  readonly name: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type TenantCommand = { readonly kind: 'PutTenant'; readonly id: TenantId; readonly name: string };

export type TenantEvent =
  | {
      readonly kind: 'TenantCreated';
      readonly id: TenantId;
      readonly name: string;
      readonly atMs: number;
      readonly by: string;
    }
  | { readonly kind: 'TenantRenamed'; readonly name: string; readonly atMs: number; readonly by: string };
