import type { DeliveryRedelivered } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { AuditQuery, AuditResource } from '#contracts/http/audit';
import type { PageResource } from '#contracts/http/lookup-resources';
import type { TenantId } from '#core/ids';
import { auditEntryOf, auditEntryOfRedelivered } from './audit-entry.ts';

/** A message as its stream has it. */
export interface AuditMessage {
  readonly seq: number;
  readonly timestampMs: number;
  readonly data: Uint8Array;
}

export interface ReadAuditPorts {
  /** Newest first. */
  read(
    source: AuditSource,
    where: { tenant: TenantId | undefined; aggregate: string | undefined; beforeSeq?: number; beforeMs?: number },
  ): AsyncIterator<AuditMessage, void, undefined>;
}

/** `registry`: commands; `journal`: redeliveries of one delivery, which leave no trace but the fact. */
export type AuditSource = 'registry' | 'journal';

/** Of the tenant, or of all. */
export type ReadAudit = (tenant: TenantId | undefined, query: AuditQuery) => Promise<PageResource<AuditResource>>;

const DEFAULT_LIMIT = 50;
/** What one request looks at, whatever it finds: a page can be short, or empty, and go on. */
const LOOKED_AT_MAX = 5_000;
/** An event carries the clock of who wrote it, its message that of the broker. */
const CLOCKS_APART_MS = 60_000;

interface Candidate {
  readonly source: AuditSource;
  readonly message: AuditMessage;
  readonly entry: AuditResource | undefined;
}

/**
 * Who changed what, newest first, from the streams themselves: what they hold is what happened, and REGISTRY refuses to
 * delete. They are read backwards, so the cost is that of the page and not of the past, and it needs no Postgres.
 */
export function makeReadAudit(ports: ReadAuditPorts): ReadAudit {
  return async (tenant, query) => {
    const { since = -Infinity, until = Infinity, by, limit = DEFAULT_LIMIT } = query;
    const isAsked = ({ at, by: actual }: AuditResource): boolean =>
      Date.parse(at) >= since && Date.parse(at) < until && (by === undefined || by === actual);
    const merged = merge([open('registry', tenant, query), open('journal', tenant, query)]);
    const position = { ...(query.after ?? { registry: 0, journal: 0 }) };
    const data: AuditResource[] = [];
    for (let lookedAt = 0; ; lookedAt++) {
      const newest = await merged.peek();
      if (newest === undefined || newest.message.timestampMs < since - CLOCKS_APART_MS) return { data };
      if (data.length === limit || lookedAt === LOOKED_AT_MAX) {
        return { data, next: `${position.registry}.${position.journal}` };
      }
      merged.take();
      position[newest.source] = newest.message.seq;
      if (newest.entry !== undefined && isAsked(newest.entry)) data.push(newest.entry);
    }
  };

  /** 0 in a cursor: nothing of that stream was looked at so far. */
  async function* open(
    source: AuditSource,
    tenant: TenantId | undefined,
    { aggregate, until, after }: AuditQuery,
  ): AsyncGenerator<Candidate, void, undefined> {
    const isAsked = aggregate === undefined || (aggregate === 'delivery') === (source === 'journal');
    if (!isAsked) return;
    const beforeSeq = after?.[source] ?? 0;
    const messages = ports.read(source, {
      tenant,
      aggregate,
      ...(beforeSeq === 0 ? {} : { beforeSeq }),
      ...(until === undefined ? {} : { beforeMs: until + CLOCKS_APART_MS }),
    });
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      yield { source, message: next.value, entry: entryOf(source, next.value.data) };
    }
  }
}

/** What can not be read is left out, as where it is folded and projected, which says so in the log. */
function entryOf(source: AuditSource, data: Uint8Array): AuditResource | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(data));
    return source === 'registry'
      ? auditEntryOf(value as RegistryRecord)
      : auditEntryOfRedelivered(value as DeliveryRedelivered);
  } catch {
    return undefined;
  }
}

/** The newest of what each has next. */
function merge(sources: readonly AsyncGenerator<Candidate, void, undefined>[]) {
  const heads = sources.map((source) => ({ source, head: undefined as IteratorResult<Candidate, void> | undefined }));
  let newest: (typeof heads)[number] | undefined;
  return {
    async peek(): Promise<Candidate | undefined> {
      newest = undefined;
      for (const one of heads) {
        one.head ??= await one.source.next();
        if (one.head.done === true) continue;
        const other = newest?.head?.value?.message.timestampMs ?? -Infinity;
        if (one.head.value.message.timestampMs > other) newest = one;
      }
      return newest?.head?.value ?? undefined;
    },
    take(): void {
      if (newest !== undefined) newest.head = undefined;
    },
  };
}
