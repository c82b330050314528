import { answerHandshake } from '#core/handshake/answer-handshake';
import type { TenantId } from '#core/ids';
import { policyOf, type Tenant } from '#core/registry/tenant';
import type { Authenticate } from '#platform/authenticate';
import type { PublishPorts } from './gateway.ports.ts';

export interface AnswerSenderPorts {
  readonly authenticate: Authenticate;
  tenant(id: TenantId): Tenant | undefined;
  /** Who gets consent without a credential: DNS names, `*` for all. */
  readonly origins: readonly string[];
}

/** Answers the handshake of a sender that wants to publish here, by the policy of its tenant when that is known. */
export function makeAnswerSender(ports: AnswerSenderPorts): PublishPorts['answerHandshake'] {
  return async (headers, address) => {
    const tenant =
      headers['authorization'] === undefined ? undefined : (await ports.authenticate(headers, address)).tenant;
    const asked = {
      origin: single(headers['webhook-request-origin']),
      rate: single(headers['webhook-request-rate']),
    };
    if (tenant === undefined) return answerHandshake(asked, { origins: ports.origins });
    const { publishOrigins: origins, publishRatePerMinute } = policyOf(ports.tenant(tenant));
    return answerHandshake(asked, {
      origins,
      ...(publishRatePerMinute === undefined ? {} : { ratePerMinute: publishRatePerMinute }),
    });
  };
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
