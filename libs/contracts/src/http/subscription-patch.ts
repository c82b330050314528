import { WEBHOOK_HEADERS, type HeaderNames } from '#core/signature/header-names';
import { withoutAliases } from './member-aliases.ts';
import { mergePatch } from './merge-patch.ts';
import { parseSubscriptionBody, type SubscriptionRequest } from './subscription-body.ts';
import type { SubscriptionResource } from './subscription-resource.ts';
import type { Parsed, Violation } from './violations.ts';

type Members = Readonly<Record<string, unknown>>;

/**
 * What a merge patch (RFC 7396) of a subscription, as it is shown, asks for. What it removes takes its default again;
 * secrets that it does not name stay; `"sinkcredential": null` removes the credential (SA-10).
 *
 * @param names of the headers that the tenant's notifications have
 */
export function parseSubscriptionPatch(
  current: SubscriptionResource,
  patch: unknown,
  names: HeaderNames = WEBHOOK_HEADERS,
): Parsed<SubscriptionRequest> {
  if (!isMembers(patch)) {
    return {
      ok: false,
      violations: [{ pointer: '', detail: 'This must be a JSON object: a merge patch (RFC 7396).' }],
    };
  }
  const { value, violations, pointerAsSent } = withoutAliases(patch);
  const { sinkcredential, ...members } = value as Members;
  const merged = mergePatch(signatureBaseFor(baseFor(current, members), members), members) as Members;
  const credential = sinkcredential === undefined ? {} : { sinkcredential: patchCredential(current, sinkcredential) };
  const parsed = parseSubscriptionBody({ ...merged, ...credential }, names);
  if (parsed.ok && violations.length === 0) return parsed;
  const own = parsed.ok
    ? []
    : parsed.violations.map((one): Violation => ({ ...one, pointer: pointerAsSent(one.pointer) }));
  return { ok: false, violations: [...violations, ...own] };
}

/** Settings, validation, batches and tokens belong to the protocol: another one begins without them. */
function baseFor(current: SubscriptionResource, { protocol }: Members): unknown {
  const { sinkcredential: _sealed, ...base } = current;
  if (protocol === undefined || protocol === current.protocol) return base;
  const { protocolsettings: _settings, config, ...rest } = base;
  const { validation: _validation, batch: _batch, authorization: _authorization, ...others } = config;
  return { ...rest, config: others };
}

/** The settings of a signature belong to its profile: another one begins without them. */
function signatureBaseFor(base: unknown, { config: patch }: Members): unknown {
  const wanted = isMembers(patch) && isMembers(patch['signature']) ? patch['signature']['profile'] : undefined;
  if (wanted === undefined || !isMembers(base) || !isMembers(base['config'])) return base;
  const { signature, ...others } = base['config'];
  return isMembers(signature) && signature['profile'] === wanted ? base : { ...base, config: others };
}

/** Its secret members are not known here, so a patch of the same type names all that the type requires. */
function patchCredential({ sinkcredential: current }: SubscriptionResource, patch: unknown): unknown {
  return isMembers(patch) ? mergePatch(current, patch) : patch;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
