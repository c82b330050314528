import { Module } from '@nestjs/common';
import { CLOCK, CONFIG, type Clock } from '#platform/tokens';
import { INBOX_PORTS, InboxController, type InboxPorts } from './inbox.controller.ts';
import { inboxSecret } from './inbox-secret.ts';
import { makeNotificationRing } from './notification-ring.ts';
import { makeReceiveNotification } from './receive-notification.ts';

interface InboxConfig {
  readonly POSTHASTE_INBOX_URL: string;
  readonly POSTHASTE_INBOX_KEY: string;
}

/** The built-in inbox: `/inbox/{name}`. */
@Module({
  controllers: [InboxController],
  providers: [{ provide: INBOX_PORTS, inject: [CONFIG, CLOCK], useFactory: makeInboxPorts }],
})
export class InboxModule {}

function makeInboxPorts(config: InboxConfig, now: Clock): InboxPorts {
  const ring = makeNotificationRing();
  const secretOf = (name: string): string => inboxSecret(config.POSTHASTE_INBOX_KEY, name);
  return {
    ring,
    secretOf,
    inboxUrl: config.POSTHASTE_INBOX_URL,
    receiveNotification: makeReceiveNotification({ ring, secretOf, now }),
  };
}
