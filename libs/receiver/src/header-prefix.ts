import { headerNamesOf, isHeaderPrefix, type HeaderNames } from '#core/signature/header-names';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';

/**
 * The names that a prefix makes; without one, the usual.
 *
 * @throws ReceiverMisconfigured when a tenant can not have such a prefix
 */
export function headerNamesWith(prefix: string | undefined): HeaderNames {
  if (prefix === undefined || isHeaderPrefix(prefix)) return headerNamesOf(prefix);
  throw new ReceiverMisconfigured(
    `headerPrefix can not be "${prefix}": it is what stands before "-signature", in lower case, such as acme.`,
  );
}
