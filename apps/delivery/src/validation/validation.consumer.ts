import { Counter, type Registry as MetricsRegistry } from 'prom-client';
import type { Bus } from '#bus/connection';
import { consumeAtOnce, type Consuming } from '#bus/consume';
import type { Delivered } from '#bus/delivered';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { scheduleMessage } from '#bus/schedule-message';
import {
  answerMessageId,
  decodeValidationAsk,
  encodeValidation,
  UnreadableValidation,
  type ValidationAsk,
} from '#contracts/bus/validation';
import type { TenantId } from '#core/ids';
import type { GuardedClient } from '#outbound/guarded-client';
import { sha256Hex } from '#platform/digest';
import { callbackUrlOf, originOf, type PublicConfig } from '#platform/public-address';
import type { Clock } from '#platform/tokens';
import { makeFairSlots } from '../fair-slots.ts';
import { makeAskSink, type AskPorts } from './ask-sink.ts';
import { makeValidateSink, type ValidatePorts } from './validate-sink.ts';

/** Sinks asked at once per process. */
const SLOTS = 64;
/** Of one tenant: its sinks may all hang, and nobody else's wait for them. */
const SLOTS_OF_ONE_TENANT = 32;
/** Asks that are here, under way or not, so that there are some of whoever's turn it is. */
const PREFETCH = 1024;
/** Somebody waits for it; a sink that is slower than this is asked again. */
const ASK_TIMEOUT_MS = 10_000;

export interface ValidationParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly client: GuardedClient;
  readonly identityOf: AskPorts['identityOf'];
  readonly config: PublicConfig;
  userAgentOf(tenant: TenantId): string;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
}

/** VALIDATIONS → a sink is asked → VALIDATIONS. */
export function consumeValidations(parts: ValidationParts): Consuming {
  const { bus, metrics } = parts;
  const asks = new Counter({
    name: 'posthaste_validation_asks_total',
    help: 'Sinks asked for their consent, by what came of it; unanswered: asked again later.',
    labelNames: ['result'],
    registers: [metrics],
  });
  const validateSink = makeValidateSink(makeValidatePorts(parts));
  const { streams, consumers } = bus.topology;
  const slots = makeFairSlots(SLOTS, { mostOfOne: SLOTS_OF_ONE_TENANT });
  let stopping = false;

  async function inTurn(message: Delivered, ask: ValidationAsk): Promise<void> {
    await slots.acquire(ask.tenant);
    try {
      if (stopping) return message.nak();
      asks.inc({ result: await validateSink(ask) });
      message.ack();
    } finally {
      slots.release(ask.tenant);
    }
  }

  const consuming = consumeAtOnce(
    bus,
    { stream: streams.VALIDATIONS, consumer: consumers.validationAsks, prefetch: PREFETCH },
    async (message) => {
      const ask = readAsk(bus, message);
      if (ask === undefined) message.ack();
      else await inTurn(message, ask);
    },
  );
  return {
    isAlive: consuming.isAlive,
    stop() {
      stopping = true;
      return consuming.stop();
    },
  };
}

function makeValidatePorts({
  bus,
  snapshot,
  client,
  identityOf,
  config,
  userAgentOf,
  clock,
}: ValidationParts): ValidatePorts {
  const { publisher, topology } = bus;
  return {
    async findSubscription(tenant, id) {
      await snapshot.catchUp();
      return snapshot.subscription(tenant, id);
    },
    askSink: makeAskSink(
      {
        identityOf,
        exchange: (request) => client.exchange({ ...request, timeoutMs: ASK_TIMEOUT_MS }),
        callbackUrl: (subscription, code) => callbackUrlOf(config, subscription, code),
        now: clock,
      },
      { origin: originOf(config), userAgentOf },
    ),
    async tell(answer) {
      const subject = topology.validationToldSubject(answer.tenant, answer.subscription);
      await publisher.publish(subject, encodeValidation(answer), { msgId: answerMessageId(answer) });
    },
    askAgain: (ask, atMs) =>
      scheduleMessage(bus, {
        atMs,
        timerSubject: topology.validationAtSubject(ask.subscription, 'ask'),
        targetSubject: topology.validationAskSubject(ask.tenant, ask.subscription),
        msgId: `ask:${sha256Hex(ask.code)}:${ask.ask}`,
        payload: encodeValidation(ask),
      }),
    sha256Hex,
    now: clock,
  };
}

/** A message that nobody can read would come back for ever; it is told once and forgotten. */
function readAsk(bus: Bus, { data, seq, subject }: Delivered): ValidationAsk | undefined {
  try {
    return decodeValidationAsk(data);
  } catch (error) {
    if (!(error instanceof UnreadableValidation)) throw error;
    bus.logger.error({ err: error, seq, subject }, 'an ask for a validation is not readable');
    return undefined;
  }
}
