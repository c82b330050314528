import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { scheduleMessage } from '#bus/schedule-message';
import { encodeValidation } from '#contracts/bus/validation';
import { attributeOf } from '#core/event/cloud-event';
import { toNatsMessage } from '#core/event/nats-binding';
import { CALLBACK_CODE_BYTES } from '#core/handshake/callback-code';
import { eventKeyInput } from '#core/ids';
import { policyOf, unsupportedRateOf } from '#core/registry/tenant';
import { randomBytes, sha256Hex, shortHash } from '#platform/digest';
import type { Clock } from '#platform/tokens';
import type { ExecuteCommand } from '../execute-command.ts';
import { expiryEvent } from './expiry-event.ts';
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

export function makeReactPorts({ bus, snapshot }: ValidationParts, requestValidation: RequestValidation): ReactPorts {
  const { publisher, topology } = bus;
  return {
    requestValidation,
    async announceExpiry(subscription, expired, recordSeq) {
      const event = expiryEvent(subscription, expired, recordSeq);
      const name = (attribute: string): string => attributeOf(event, attribute) ?? '';
      const { headers, payload } = toNatsMessage(event);
      await publisher.publish(topology.eventSubject(subscription.tenant, name('type')), payload, {
        msgId: shortHash(eventKeyInput(subscription.tenant, name('source'), name('id'))),
        headers,
      });
    },
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
