import { describe, expect, test } from '@jest/globals';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { CloudEvent } from '#core/event/cloud-event';
import type { DeliveryId, TenantId } from '#core/ids';
import type { Tenant } from '#core/registry/tenant';
import type { HeaderPair } from '#core/signature/http-message';
import type { SignatureSettings } from '#core/signature/signature-settings';
import { productVersion } from '#platform/version';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeSendNotification, type SendPorts } from './send-notification.ts';
import { makeUserAgentOf } from './user-agent-of.ts';

const acme = 'acme' as TenantId;
const attributes = new Map(Object.entries({ specversion: '1.0', id: 'e1', source: '/s', type: 't' }));
const event: CloudEvent = { attributes };

/** The headers of a notification of a subscription with these of its own, signed with these. */
async function send(
  own: Readonly<Record<string, string>>,
  signature: readonly HeaderPair[],
  profile?: SignatureSettings,
) {
  const posted: (readonly HeaderPair[])[] = [];
  const covered: (readonly HeaderPair[] | undefined)[] = [];
  const ports: SendPorts = {
    sign({ head }) {
      covered.push(head?.headers);
      return Promise.resolve(signature);
    },
    identityOf: () => Promise.resolve(undefined),
    post(_url, headers) {
      posted.push(headers);
      return Promise.resolve({ kind: 'response', status: 204 });
    },
    publish: () => Promise.reject(new Error('by HTTP')),
    childTraceparent: () => 'trace',
    batchIdOf: () => 'batch',
    now: () => 0,
  };
  const spec = aSpec({
    protocolsettings: { method: 'POST', headers: own },
    ...(profile === undefined ? {} : { config: { signature: profile } }),
  });
  const target = aSubscription({ tenant: acme, spec });
  const task: DeliveryTask = {
    delivery: 'dlv_1' as DeliveryId,
    tenant: acme,
    subscription: target.id,
    eventSeq: 1,
    acceptedAtMs: 0,
    attempt: 1,
    firstAttempt: 1,
    event: { kind: 'inline', value: event },
  };
  const userAgentOf = (tenant: TenantId) => `Agent-of-${tenant}/1`;
  await makeSendNotification(ports, { userAgentOf, origin: 'posthaste.example' }).send({ task, event, target });
  return { posted: posted[0] ?? [], covered: covered[0] ?? [] };
}

const valuesOf = (headers: readonly HeaderPair[], wanted: string): string[] =>
  headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);

describe('the white label of a tenant', () => {
  test('has its User-Agent on a notification, and on what a signature may cover', async () => {
    const profile: SignatureSettings = { profile: 'http-signatures-draft-05', verbatim: false };
    const { posted, covered } = await send({}, [['signature', 's']], profile);
    expect(valuesOf(posted, 'user-agent')).toEqual(['Agent-of-acme/1']);
    expect(valuesOf(covered, 'user-agent')).toEqual(['Agent-of-acme/1']);
  });

  test('sends no header twice when it comes to use one that a subscription sets: the signature stays (SA-9)', async () => {
    const own = { 'Acme-Id': 'mine', 'X-Route': 'blue' };
    const { posted } = await send(own, [['acme-id', 'dlv_1']]);
    expect(valuesOf(posted, 'acme-id')).toEqual(['dlv_1']);
    expect(valuesOf(posted, 'x-route')).toEqual(['blue']);
    const { posted: before } = await send(own, [['webhook-id', 'dlv_1']]);
    expect(valuesOf(before, 'acme-id')).toEqual(['mine']);
  });
});

describe('the User-Agent', () => {
  test('is the tenant’s, else the installation’s, as the operator has it at the moment', () => {
    const tenants = new Map<TenantId, Pick<Tenant, 'policy'>>();
    const fold = { tenant: (id: TenantId) => tenants.get(id) };
    const userAgentOf = makeUserAgentOf(fold, 'Hooks/1');
    expect(userAgentOf(acme)).toBe('Hooks/1');
    tenants.set(acme, {
      policy: { unsupportedSinks: 'full', publishOrigins: [], userAgent: 'Acme/2 (+https://acme)' },
    });
    expect(userAgentOf(acme)).toBe('Acme/2 (+https://acme)');
    expect(userAgentOf('other' as TenantId)).toBe('Hooks/1');
    tenants.set(acme, {});
    expect(userAgentOf(acme)).toBe('Hooks/1');
    expect(makeUserAgentOf(fold)(acme)).toBe(`Posthaste/${productVersion()}`);
  });
});
