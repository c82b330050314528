import type { TenantId } from '#core/ids';
import { headerNamesOf, WEBHOOK_HEADERS, type HeaderNames } from '#core/signature/header-names';

/** Names are made once per prefix, not per signature; prefixes are few, since operators choose them. */
export function makeHeaderNamesOf(
  prefixOf: (tenant: TenantId) => string | undefined,
): (tenant: TenantId) => HeaderNames {
  const known = new Map<string, HeaderNames>();
  return (tenant) => {
    const prefix = prefixOf(tenant);
    if (prefix === undefined) return WEBHOOK_HEADERS;
    const names = known.get(prefix) ?? headerNamesOf(prefix);
    known.set(prefix, names);
    return names;
  };
}
