import { parseCursor, type PageRequest } from '#store/page';
import { ProblemError } from '#platform/problem';

/**
 * What a list's query says about its page.
 *
 * @throws ProblemError 400 when `after` is not a cursor of ours
 */
export function pageRequest({ limit, after }: { limit?: number | undefined; after?: string | undefined }): PageRequest {
  if (after === undefined) return { limit };
  const cursor = parseCursor(after);
  if (cursor !== undefined) return { limit, after: cursor };
  const detail = 'This must be the `next` of the page before, unchanged.';
  const errors = [{ pointer: 'after', detail }];
  throw new ProblemError({ status: 400, code: 'invalid-query', detail: `The cursor is not valid. ${detail}`, errors });
}
