import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { answerParent } from './child.ts';

// The ceiling: what one process on this machine can do that only pulls, posts and acknowledges.

export interface BareSetup {
  readonly natsUrl: string;
  readonly stream: string;
  readonly consumer: string;
  readonly sinkUrl: string;
  readonly caFile?: string;
}

/** As many as the delivery service has for one subscription. */
const SLOTS = 64;

async function start({ natsUrl, stream, consumer, sinkUrl, caFile }: BareSetup): Promise<object> {
  const js = jetstream(await connect({ servers: natsUrl }));
  const pool = new Pool(sinkUrl, {
    connections: SLOTS,
    ...(caFile === undefined ? {} : { connect: { ca: readFileSync(caFile) } }),
  });
  const messages = await (await js.consumers.get(stream, consumer)).consume({ max_messages: 512 });
  void pump();
  return {};

  async function pump(): Promise<void> {
    let inFlight = 0;
    let wake: () => void = () => undefined;
    for await (const message of messages) {
      if (inFlight >= SLOTS) await new Promise<void>((resolve) => (wake = resolve));
      inFlight++;
      void pool
        .request({ method: 'POST', path: '/', headers: { 'content-type': 'application/json' }, body: message.data })
        .then(async ({ body }) => {
          await body.dump();
          message.ack();
          inFlight--;
          wake();
        });
    }
  }
}

answerParent((message: BareSetup) => start(message));
