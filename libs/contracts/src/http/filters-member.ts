import { z } from 'zod';
import { parseFilters } from '#core/filter/parse-filters';

/** The `filters` member of a body, with every violation in its place (SA-6, FD-1 … FD-8). */
export const filtersMember = z.unknown().transform((value, context) => {
  const parsed = parseFilters(value);
  if (parsed.ok) return parsed.filters;
  for (const { rule, path, detail, position } of parsed.violations) {
    context.addIssue({ code: 'custom', path: [...path], message: detail, params: { rule, position } });
  }
  return z.NEVER;
});
