import { Module } from '@nestjs/common';
import { Histogram, type Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import { BusUnavailable, MessageTooLarge } from '#bus/bus-errors';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { makeApiKeyFinder, makeAuthenticate } from '#platform/authenticate';
import { shortHash } from '#platform/digest';
import { CONFIG, METRICS } from '#platform/tokens';
import { makeAcceptEvents } from './accept-events.ts';
import type { GatewayConfig } from './config.ts';
import { PUBLISH_PORTS, type PublishPorts } from './gateway.ports.ts';
import { PublishController } from './publish.controller.ts';

/** The data plane's way in: HTTP → EVENTS. */
@Module({
  controllers: [PublishController],
  providers: [
    { provide: PUBLISH_PORTS, inject: [BUS, REGISTRY_SNAPSHOT, CONFIG, METRICS], useFactory: makePublishPorts },
  ],
})
export class GatewayModule {}

function makePublishPorts(
  { publisher, topology }: Bus,
  snapshot: RegistrySnapshot,
  config: GatewayConfig,
  metrics: MetricsRegistry,
): PublishPorts {
  const seconds = new Histogram({
    name: 'posthaste_gateway_publish_seconds',
    help: 'Duration of a publish request from its last byte to the acknowledgement of JetStream, by result.',
    labelNames: ['result'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers: [metrics],
  });
  return {
    authenticate: makeAuthenticate({
      adminToken: config.POSTHASTE_ADMIN_TOKEN,
      findApiKey: makeApiKeyFinder(snapshot),
      hasTenant: async (tenant) => {
        if (snapshot.tenant(tenant) !== undefined) return true;
        await snapshot.catchUp();
        return snapshot.tenant(tenant) !== undefined;
      },
    }),
    acceptEvents: makeAcceptEvents(
      {
        publish: (subject, payload, options) => publisher.publish(subject, payload, options),
        eventSubject: (tenant, type) => topology.eventSubject(tenant, type),
        shortHash,
      },
      { maxEventBytes: config.POSTHASTE_EVENT_MAX_BYTES },
    ),
    isSaturated: () => publisher.pending() > config.POSTHASTE_PUBLISH_MAX_PENDING,
    faultOf(error) {
      if (error instanceof BusUnavailable) return 'bus_unavailable';
      return error instanceof MessageTooLarge ? 'too_large_for_bus' : undefined;
    },
    startTimer() {
      const stop = seconds.startTimer();
      return (result) => {
        stop({ result });
      };
    },
  };
}
