import { BusUnavailable, RequestFailed } from '#bus/bus-errors';
import { sqlStateOf } from '#store/store-errors';

export function isBusAway(error: unknown): boolean {
  return error instanceof BusUnavailable || error instanceof RequestFailed;
}

/**
 * No answer from PostgreSQL at all, or one that says that it cannot serve now: connection (08), resources (53), shutting
 * down or starting (57), system (58), no such database yet (3D000), not migrated yet (42P01).
 */
export function isReadSideAway(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return /^(08|53|57|58)|^(3D000|42P01)$/.test(state);
  return !(error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError);
}
