import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { scheduleMessage } from '#bus/schedule-message';
import { encodeValidation } from '#contracts/bus/validation';
import { CALLBACK_CODE_BYTES } from '#core/handshake/callback-code';
import { policyOf, unsupportedRateOf } from '#core/registry/tenant';
import { randomBytes, sha256Hex } from '#platform/digest';
import type { Clock } from '#platform/tokens';
import type { ExecuteCommand } from '../execute-command.ts';
import type { ReactPorts } from './react-to-change.ts';
import type { RecordToldPorts } from './record-told.ts';
import type { RequestValidation, RequestValidationPorts } from './request-validation.ts';

export interface ValidationParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly execute: ExecuteCommand;
  readonly clock: Clock;
}

export function makeRequestPorts({ bus, snapshot, execute, clock }: ValidationParts): RequestValidationPorts {
  const { publisher, topology } = bus;
  return {
    state: snapshot,
    execute,
    scheduleDeadline: (deadline, atMs) =>
      scheduleMessage(bus, {
        atMs,
        timerSubject: topology.validationAtSubject(deadline.subscription, 'deadline'),
        targetSubject: topology.validationToldSubject(deadline.tenant, deadline.subscription),
        msgId: `deadline:${deadline.codeHash}`,
        payload: encodeValidation(deadline),
      }),
    async publishAsk(ask) {
      const subject = topology.validationAskSubject(ask.tenant, ask.subscription);
      await publisher.publish(subject, encodeValidation(ask), { msgId: `ask:${sha256Hex(ask.code)}:${ask.ask}` });
    },
    newCode: () => Buffer.from(randomBytes(CALLBACK_CODE_BYTES)).toString('base64url'),
    sha256Hex,
    now: clock,
  };
}

export function makeReactPorts({ snapshot }: ValidationParts, requestValidation: RequestValidation): ReactPorts {
  return {
    requestValidation,
    async findSubscription(tenant, id, recordSeq) {
      if (snapshot.position() < recordSeq) await snapshot.catchUp();
      return snapshot.subscription(tenant, id);
    },
  };
}

export function makeRecordPorts({ snapshot, execute, clock }: ValidationParts): RecordToldPorts {
  return {
    state: snapshot,
    execute,
    unsupportedRate: (tenant) => unsupportedRateOf(policyOf(snapshot.tenant(tenant))),
    now: clock,
  };
}
