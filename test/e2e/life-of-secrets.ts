import { createPrivateKey, randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import { connectBus } from '#bus/connection';
import { openRegistrySnapshot } from '#bus/registry-snapshot';
import { makeTestAuthority } from '#testkit/certificates';
import { eventually } from '#testkit/eventually';
import { headerOf, type Received, type Sink, type SinkAnswer } from '#testkit/sink-server';
import { expectStatus, type Answer, type CreatedSubscription, type TenantClient } from '#testkit/tenant-client';
import { silentLogger } from '#testkit/test-bus';
import { makeMasterKeys } from '../../apps/signer/src/master-key.ts';
import type { Stage } from './stage.ts';

/**
 * `sealed`: only the signer can open it. `sent`: that too, and it goes to a sink. `presented`: a client proves itself with it.
 * `operator`: the admin token.
 */
export type SecretKind = 'sealed' | 'sent' | 'presented' | 'operator';

/** Writes a secret down, and answers it. */
export type Note = (what: string, text: string, kind: SecretKind) => string;

export interface LifeOfSecrets {
  /** Publishes once more, to every subscription, and waits until all that was sent is settled. */
  publish(): Promise<void>;
}

const TYPE = 'com.example.secret';
const random = (what: string): string => `${what}-${randomBytes(16).toString('hex')}`;
const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

const SIGNATURES = [
  { profile: 'standard-webhooks' },
  { profile: 'standard-webhooks-v1a' },
  { profile: 'rfc9421', algorithm: 'ecdsa-p256-sha256' },
  { profile: 'rfc9421', algorithm: 'ed25519' },
  { profile: 'http-signatures-draft-05' },
  { profile: 'hmac-timestamp' },
  { profile: 'none' },
];

/**
 * Has one tenant use every kind of secret there is: signing secrets, supplied, generated, rotated and replaced, signatures of every
 * profile, keys of both algorithms and their successors, and every type of credential, with tokens that are obtained.
 */
export async function liveWithSecrets(stage: Stage, note: Note): Promise<LifeOfSecrets> {
  const client = await stage.cluster.createTenantWithKey('discreet');
  note('API key of a tenant', client.key, 'presented');
  const sink = await stage.sink();
  const bodies = [
    ...SIGNATURES.map((signature) => ({ sink: sink.url, config: { signature } })),
    ...(await credentials(stage, note)).map((sinkcredential) => ({ sink: sink.url, sinkcredential })),
    await aMutualSink(stage, note),
  ];
  const subscriptions: string[] = [];
  for (const body of bodies) {
    const config = { validation: { mode: 'none' }, ...(body as { config?: object }).config };
    const made = await client.subscribe({ types: [TYPE], ...body, config });
    const { profile, secret } = made.config.signature;
    if (secret !== undefined) note(`secret of ${profile}`, secret, 'sealed');
    subscriptions.push(made.id);
  }
  await replaceSecrets(client, subscriptions[0] ?? '', note);
  await replaceKeys(client);
  let published = 0;
  const publish = async (): Promise<void> => {
    await client.publishEvent({ specversion: '1.0', id: `secret-${++published}`, source: '/secrets', type: TYPE });
    await eventually(async () => {
      const { data } = await client.get<{ data: unknown[] }>('/v1/deliveries?state=delivered&limit=100');
      return data.length === published * subscriptions.length;
    });
    noteJwts(sink, note);
  };
  await publish();
  return { publish };
}

async function done(client: TenantClient, status: number, call: string, body?: object): Promise<Answer> {
  const [method = '', path = ''] = call.split(' ');
  return expectStatus(status, call, await client.call(method, path, body === undefined ? {} : { body }));
}

async function replaceSecrets(client: TenantClient, subscription: string, note: Note): Promise<void> {
  const path = `/v1/subscriptions/${subscription}`;
  const secret = (what: string) => note(what, `whsec_${randomBytes(32).toString('base64')}`, 'sealed');
  await done(client, 200, `PATCH ${path}`, { config: { signature: { secret: secret('secret of a patch') } } });
  await done(client, 200, `POST ${path}/secret/rotate`, { secret: secret('secret of a rotation') });
  const rotated = await done(client, 200, `POST ${path}/secret/rotate`);
  note('secret by a rotation', rotated.json<CreatedSubscription>().config.signature.secret ?? '', 'sealed');
}

async function replaceKeys(client: TenantClient): Promise<void> {
  for (const algorithm of ['ed25519', 'ecdsa-p256-sha256']) {
    const { id } = (await done(client, 201, 'POST /v1/signing-keys', { algorithm })).json<{ id: string }>();
    for (const step of ['publish', 'activate']) await done(client, 200, `POST /v1/signing-keys/${id}/${step}`);
  }
}

/** One of each type that stands in a header (SA-10). */
async function credentials(stage: Stage, note: Note): Promise<readonly Readonly<Record<string, string>>[]> {
  const endpoint = `${(await aTokenEndpoint(stage, note)).url}/token`;
  const client = (type: string) => {
    return { clientid: 'client', clientsecret: note(`client secret of ${type}`, random('client'), 'sealed') };
  };
  return [
    { credentialtype: 'PLAIN', identifier: 'us', secret: note('password', random('pass"wo/rd'), 'sent') },
    {
      credentialtype: 'ACCESSTOKEN',
      accesstoken: note('access token', random('access'), 'sent'),
      accesstokenexpiresutc: inSeconds(3600),
    },
    {
      credentialtype: 'REFRESHTOKEN',
      accesstoken: note('access token that is over', random('access'), 'sealed'),
      accesstokenexpiresutc: inSeconds(5), // none is sent that is good for less than 20 s
      refreshtoken: note('refresh token', random('refresh'), 'sealed'),
      refreshtokenendpoint: endpoint,
      ...client('REFRESHTOKEN'),
    },
    { credentialtype: 'CLIENTCREDENTIALS', tokenendpoint: endpoint, ...client('CLIENTCREDENTIALS') },
    { credentialtype: 'APIKEY', header: 'X-API-Key', value: note('key for the sink', random('key'), 'sent') },
  ];
}

/** Gives tokens, and another refresh token for each. */
function aTokenEndpoint(stage: Stage, note: Note): Promise<Sink> {
  const respond = ({ body }: Received): SinkAnswer => {
    const isRefresh = Buffer.from(body).includes('grant_type=refresh_token');
    const tokens = {
      access_token: note('obtained access token', random('obtained'), 'sent'),
      token_type: 'Bearer',
      expires_in: 3600,
      ...(isRefresh ? { refresh_token: note('obtained refresh token', random('refresh'), 'sealed') } : {}),
    };
    return { status: 200, body: JSON.stringify(tokens) };
  };
  return stage.sink({ respond });
}

/** A sink that wants a client certificate. Its key is lent to delivery, as bytes that are wiped (docs/adr/0013). */
async function aMutualSink(stage: Stage, note: Note) {
  const clients = await makeTestAuthority();
  const { cert: certificate, key } = await clients.issue({ purpose: 'client' });
  const { url: sink } = await stage.sink({ clientCa: clients.certPem });
  const privatekey = note('key of a client certificate', key, 'sealed');
  return { sink, sinkcredential: { credentialtype: 'CLIENTCERTIFICATE', certificate, privatekey } };
}

/** The tokens that Posthaste issues itself, as the sink got them. Each signer has its own. */
function noteJwts({ received }: Sink, note: Note): void {
  const sent = new Set(received.map((one) => headerOf(one, 'authorization') ?? ''));
  const jwts = [...sent].flatMap((value) => /^Bearer (ey.+)$/.exec(value)?.[1] ?? []);
  expect(jwts.length).toBeGreaterThan(0);
  for (const jwt of jwts) note('token of Posthaste', jwt, 'sent');
}

/** The private halves of all signing keys, of every tenant, opened as only the signer can. */
export async function notePrivateKeys(
  { cluster }: Stage,
  masterKeys: readonly [Uint8Array, ...Uint8Array[]],
  note: Note,
): Promise<void> {
  const bus = await connectBus({ servers: cluster.natsUrl, name: 'test', deployment: '', logger: silentLogger });
  const snapshot = await openRegistrySnapshot(bus);
  try {
    const masterKey = makeMasterKeys(masterKeys);
    for (const { id, tenant, algorithm, sealedPrivateKey = '' } of snapshot.signingKeys()) {
      const opened = masterKey.unseal(sealedPrivateKey, { tenant, signingKey: id });
      if (!opened.ok) throw new Error(`${id}: ${opened.reason}`);
      const key = createPrivateKey({ key: Buffer.from(opened.secret), format: 'der', type: 'pkcs8' });
      const pem = key.export({ format: 'pem', type: 'pkcs8' }).toString();
      note(`signing key of ${tenant} (${algorithm})`, pem, 'sealed');
    }
  } finally {
    await snapshot.stop();
    await bus.close();
  }
}
