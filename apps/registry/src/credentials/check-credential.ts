import { shownCredential } from '#contracts/http/sink-credential';
import { credentialHeaderClashes, type SubscriptionRequest } from '#contracts/http/subscription-body';
import type { Violation } from '#contracts/http/violations';
import type { ShownCredential, Subscription } from '#core/registry/subscription';

/**
 * What a body says of the credential has to fit to the one there is (SA-10).
 *
 * @param state that the change is decided on; absent: the subscription is made by it
 */
export function checkCredential({ spec, credential }: SubscriptionRequest, state?: Subscription): readonly Violation[] {
  if (credential?.kind === 'remove') return [];
  if (credential?.kind === 'set') return credentialHeaderClashes(spec, shownCredential(credential.credential));
  const current = state?.spec.sinkcredential;
  if (credential !== undefined && !isSame(credential, current)) {
    return [
      violation(`There is no credential of the type ${credential.credentialtype} to keep; give all of its members.`),
    ];
  }
  if (state === undefined || current === undefined) return [];
  return [...checkOrigin(state.spec.sink, spec.sink), ...credentialHeaderClashes(spec, current)];
}

/** Who may change a subscription need not know its credential, and must not get to know it by naming a sink of their own. */
function checkOrigin(before: string, after: string): readonly Violation[] {
  const [given, wanted] = [originOf(before), originOf(after)];
  if (given === wanted) return [];
  return [violation(`The credential was given for ${given}, not for ${wanted}: give it again, or null to remove it.`)];
}

/** By the parser that decides where a request goes. `URL.origin` is "null" of nats://. */
function originOf(sink: string): string {
  const url = URL.parse(sink);
  return url === null ? sink : `${url.protocol}//${url.host}`;
}

/** What is not named is as it is. */
function isSame(
  { kind: _kind, ...asked }: ShownCredential & { readonly kind: 'keep' },
  current?: ShownCredential,
): boolean {
  const members = Object.entries(asked) as [keyof ShownCredential, string][];
  return current !== undefined && members.every(([name, value]) => current[name] === value);
}

function violation(detail: string): Violation {
  return { rule: 'SA-10', pointer: '/sinkcredential', detail };
}
