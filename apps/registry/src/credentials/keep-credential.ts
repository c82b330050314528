import type { KeepCredentialReply, KeepCredentialRequest } from '#contracts/bus/credential';
import { subscriptionAggregate, type RegistryState } from '../aggregates.ts';
import type { ExecuteCommand } from '../execute-command.ts';

/** By whom the registry's events say that they were caused, when the signer has obtained another access token. */
const SIGNER_ACTOR = 'signer';

export interface KeepCredentialPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
}

/**
 * Keeps what the signer has obtained, before anybody uses it: a refresh token that was replaced is good for nothing
 * any more (RFC 6749 section 6). The same question again keeps nothing twice.
 */
export function makeKeepCredential({ state, execute }: KeepCredentialPorts) {
  return async function keepCredential({
    tenant,
    subscription,
    replaces,
    sealed: sealedCredential,
  }: KeepCredentialRequest): Promise<KeepCredentialReply> {
    const aggregate = subscriptionAggregate(state, tenant, subscription);
    const command = { kind: 'RefreshCredential', replaces, sealedCredential } as const;
    const executed = await execute(aggregate, { by: SIGNER_ACTOR }, () => command);
    if (executed.kind === 'conflict') throw new Error(`others went on changing ${subscription}`);
    return { result: executed.kind === 'done' ? 'kept' : 'stale' };
  };
}
