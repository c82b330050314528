import type { CloudEvent } from '../event/cloud-event.ts';
import { timestampToUnixMs } from '../event/timestamp.ts';

/**
 * The instant from which an event is worth nothing any more, in Unix ms: its extension attribute `expirytime`
 * (CloudEvents expirytime extension). `undefined` without one, and when it is no RFC 3339 timestamp: then nobody can say.
 * No attempt may start at it or after it; the attribute itself always travels on.
 */
export function expiresAtOf({ attributes }: CloudEvent): number | undefined {
  const expirytime = attributes.get('expirytime');
  return typeof expirytime === 'string' ? timestampToUnixMs(expirytime) : undefined;
}
