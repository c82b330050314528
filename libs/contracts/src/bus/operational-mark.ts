/**
 * Header of a message on EVENTS that a service of Posthaste published itself. Without it the matcher sets an event of a
 * reserved type aside. Producers of a tenant that could set it are kept out by permissions: docs/operational-events.md.
 */
export const OPERATIONAL_MARK = ['ph-operational', '1'] as const;
