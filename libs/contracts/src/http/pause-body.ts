import { displayName } from './tenant-body.ts';
import { strictMembers } from './violations.ts';

/** Body of `POST /v1/subscriptions/{id}/pause`; the body may be empty as well. */
export const pauseBody = strictMembers({ reason: displayName.optional() });
