import { Counter, Histogram, type Registry as MetricsRegistry } from 'prom-client';
import type { SignReply } from '#contracts/bus/sign';
import type { RenewalResult } from './credentials/tokens.ts';

export interface SignerMetrics {
  observeBatch(replies: readonly SignReply[], durationMs: number): void;
}

/** What operators watch of the signer. */
export function makeSignerMetrics(metrics: MetricsRegistry): SignerMetrics {
  const signatures = new Counter({
    name: 'posthaste_signer_signatures_total',
    help: 'Signatures asked for, by result: signed, or the reason of the refusal.',
    labelNames: ['result'],
    registers: [metrics],
  });
  const batchSize = new Histogram({
    name: 'posthaste_signer_batch_size',
    help: 'Signatures asked for in one request.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers: [metrics],
  });
  const seconds = new Histogram({
    name: 'posthaste_signer_batch_seconds',
    help: 'Duration of signing one batch, without the way to and from the signer.',
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
    registers: [metrics],
  });
  return {
    observeBatch(replies, durationMs) {
      const refused = replies.filter((reply) => !reply.ok);
      signatures.inc({ result: 'signed' }, replies.length - refused.length);
      for (const { reason } of refused) signatures.inc({ result: reason });
      batchSize.observe(replies.length);
      seconds.observe(durationMs / 1000);
    },
  };
}

/** Called with what came of obtaining an access token. */
export function makeTokenMetrics(metrics: MetricsRegistry): (result: RenewalResult) => void {
  const renewals = new Counter({
    name: 'posthaste_signer_token_renewals_total',
    help: 'Access tokens wanted for sinks: renewed, elsewhere (another signer did it, or does), refused by the token endpoint, or failed.',
    labelNames: ['result'],
    registers: [metrics],
  });
  return (result) => {
    renewals.inc({ result });
  };
}
