import type { RenewableCredential } from '#core/credential/sink-credential';
import { readTokenAnswer, tokenRequestOf, type TokenAnswer } from '#core/credential/token-request';
import type { GuardedClient } from '#outbound/guarded-client';

export interface FetchTokenPorts {
  readonly client: Pick<GuardedClient, 'exchange'>;
  now(): number;
}

/** Asks a token endpoint. Never rejects; the answer has nothing secret in it but the tokens. */
export type FetchToken = (credential: RenewableCredential) => Promise<TokenAnswer>;

/** Larger than any token with what stands beside it. */
const MAX_RESPONSE_BYTES = 65_536;

export function makeFetchToken({ client, now }: FetchTokenPorts): FetchToken {
  return async (credential) => {
    const askedAtMs = now();
    const exchange = await client.exchange({ ...tokenRequestOf(credential), maxResponseBytes: MAX_RESPONSE_BYTES });
    if (exchange.kind === 'error') {
      return {
        kind: 'failed',
        detail: `the token endpoint could not be asked (${exchange.error}): ${exchange.message}`,
      };
    }
    return readTokenAnswer(exchange.status, exchange.body?.text ?? '', askedAtMs);
  };
}
