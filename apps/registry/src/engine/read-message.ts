import type { Bus } from '#bus/connection';
import type { Delivered } from '#bus/delivered';

const decoder = new TextDecoder();

/** JSON of our own. A message that nobody can read would come back for ever; it is logged once and forgotten. */
export function readMessage<T>({ logger }: Pick<Bus, 'logger'>, { data, seq, subject }: Delivered): T | undefined {
  try {
    return JSON.parse(decoder.decode(data)) as T;
  } catch (err) {
    logger.error({ err, seq, subject }, 'a message that is no JSON is left out');
    return undefined;
  }
}
