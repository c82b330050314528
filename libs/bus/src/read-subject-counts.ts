import type { StreamInfo } from '@nats-io/jetstream';
import type { Asker } from './asker.ts';
import { BusUnavailable } from './bus-errors.ts';

const TIMEOUT_MS = 5_000;

type Answer = StreamInfo & { readonly error?: { readonly description: string } };

/**
 * Messages by subject, of those that have any, from the leader. Above 100 000 subjects these are several reads: one that
 * empties in between may hide another. Not by the client, whose paging throws when a later page turns out to be empty.
 *
 * @throws BusUnavailable
 */
export async function readSubjectCounts(
  asker: Asker,
  stream: string,
  filter: string,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (let offset = 0, total = 1; offset < total;) {
    const body = JSON.stringify({ subjects_filter: filter, offset });
    const answer = (await asker.ask(`$JS.API.STREAM.INFO.${stream}`, body, TIMEOUT_MS)).json<Answer>();
    if (answer.error !== undefined) throw new BusUnavailable(`${stream} is not counted: ${answer.error.description}`);
    const page = Object.entries(answer.state.subjects ?? {});
    if (page.length === 0) break;
    for (const [subject, count] of page) counts.set(subject, count);
    offset += page.length;
    total = answer.total;
  }
  return counts;
}
