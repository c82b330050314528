import { z } from 'zod';
import { timestampToUnixMs } from '#core/event/timestamp';
import { once, paging } from './page-query.ts';
import { strictMembers } from './violations.ts';

/** What commands are about; `delivery`: one that was redelivered by itself. */
export const AUDITED = ['tenant', 'apikey', 'subscription', 'signingkey', 'redelivery', 'delivery'] as const;
export type Audited = (typeof AUDITED)[number];

const instantMs = z
  .string(once('an instant such as 2030-01-01T00:00:00Z'))
  .transform((text, context) => {
    const atMs = timestampToUnixMs(text);
    if (atMs === undefined) context.addIssue('This must be an RFC 3339 timestamp such as 2030-01-01T00:00:00Z.');
    return atMs ?? z.NEVER;
  })
  .optional();

/** `GET /v1/audit`. */
export const auditQuery = strictMembers({
  since: instantMs,
  until: instantMs,
  by: z.string(once('admin, or the id of an API key')).min(1, 'This must not be empty.').optional(),
  aggregate: z.enum(AUDITED, `This must be one of ${AUDITED.join(', ')}.`).optional(),
  ...paging,
  after: z
    .string(once('the `next` of the page before'))
    .regex(/^\d{1,15}\.\d{1,15}$/, 'This must be the `next` of the page before, unchanged.')
    .transform((text) => {
      const [registry = 0, journal = 0] = text.split('.').map(Number);
      return { registry, journal };
    })
    .optional(),
}).refine(({ since, until }) => since === undefined || until === undefined || since < until, {
  path: ['until'],
  error: 'This must be after `since`.',
});
export type AuditQuery = z.output<typeof auditQuery>;

/** One command that changed something. */
export interface AuditResource {
  readonly at: string;
  /** `admin`, the id of an API key, or the part of Posthaste that did it by itself. */
  readonly by: string;
  /** Address of the client. Absent: no client asked, or it is from before this was kept. */
  readonly from?: string;
  readonly tenant: string;
  readonly aggregate: Audited;
  readonly id: string;
  /** `created`, `changed`, `revoked`, … */
  readonly what: string;
  /** What else there is to say, without anything that is secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}
