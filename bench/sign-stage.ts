import { randomBytes } from 'node:crypto';
import { request } from '#bus/request';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { MakeKeyReply, SealReply, SealRequest } from '#contracts/bus/seal';
import { KEY_ALGORITHMS, type KeyAlgorithm } from '#core/signature/rfc9421';
import { usesSecret } from '#core/signature/signature-settings';
import { aSpec } from '#testkit/a-subscription';
import { startNats, type TestNats } from '#testkit/nats';
import { spawnService, type SpawnedService } from '#testkit/processes';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { SIGN_PROFILE_NAMES, SIGN_PROFILES, SIGN_TENANT, subscriptionOf, type SignProfile } from './sign-profiles.ts';

/** One deployment with so many signers, of one queue. They idle while another deployment is asked. */
export interface SignInstallation {
  readonly deployment: string;
  readonly signers: Readonly<Record<string, number>>;
}

export interface SignStage {
  readonly natsUrl: string;
  readonly natsPid: number;
  /** Base64, of all signers. */
  readonly masterKey: string;
  /** One signer, and two. */
  readonly installations: readonly [SignInstallation, SignInstallation];
  stop(): Promise<void>;
}

const ASK_TIMEOUT_MS = 5_000;
const told = { atMs: 0, by: 'bench' };

/** A nats-server and real signers on it, each a process of its own, that know a tenant's keys and a subscription of each profile. */
export async function startSignStage(profileDir: string | undefined): Promise<SignStage> {
  const nats = await startNats();
  const masterKey = randomBytes(32).toString('base64');
  const services: SpawnedService[] = [];
  // All are in process groups of their own: Ctrl-C reaches only us.
  const killAll = () => {
    for (const service of services) service.kill('SIGKILL');
    process.kill(nats.pid, 'SIGINT');
  };
  process.once('exit', killAll);
  const stop = async (): Promise<void> => {
    await Promise.all(services.map((service) => service.stop()));
    process.off('exit', killAll);
    await nats.stop();
  };
  const install = async (...names: readonly string[]): Promise<SignInstallation> => {
    const bus = await makeTestBus(nats.url);
    try {
      const signers: Record<string, number> = {};
      for (const name of names) {
        const service = await startSigner(nats, bus, { name, masterKey, profileDir });
        services.push(service);
        signers[name] = service.pid;
      }
      await register(bus);
      return { deployment: bus.deployment, signers };
    } finally {
      await bus.close();
    }
  };
  try {
    const installations = [await install('signer'), await install('signer-1', 'signer-2')] as const;
    return { natsUrl: nats.url, natsPid: nats.pid, masterKey, installations, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface SignerOptions {
  readonly name: string;
  readonly masterKey: string;
  readonly profileDir: string | undefined;
}

function startSigner(
  nats: TestNats,
  { deployment }: TestBus,
  { name, masterKey, profileDir }: SignerOptions,
): Promise<SpawnedService> {
  return spawnService({
    name,
    app: 'signer',
    env: {
      POSTHASTE_HTTP_HOST: '127.0.0.1',
      POSTHASTE_NATS_URL: nats.url,
      POSTHASTE_DEPLOYMENT: deployment,
      POSTHASTE_MASTER_KEY: masterKey,
    },
    ...(profileDir === undefined ? {} : { nodeOptions: `--cpu-prof --cpu-prof-dir=${profileDir}/${name}` }),
  });
}

/** What the registry would append; keys and secrets are made and sealed by the signer. */
async function register(bus: TestBus): Promise<void> {
  for (const algorithm of KEY_ALGORITHMS) await addKey(bus, algorithm);
  for (const profile of SIGN_PROFILE_NAMES) await addSubscription(bus, profile);
}

async function addKey(bus: TestBus, algorithm: KeyAlgorithm): Promise<void> {
  const tenant = SIGN_TENANT;
  const { id, ...made } = await ask<MakeKeyReply>(bus, { tenant, algorithm });
  const record = { aggregate: 'signingkey', id, tenant } as const;
  await append(bus, { ...record, event: { kind: 'SigningKeyCreated', id, tenant, algorithm, ...made, ...told } });
  await append(bus, { ...record, event: { kind: 'SigningKeyPublished', ...told } });
  await append(bus, { ...record, event: { kind: 'SigningKeyActivated', ...told } });
}

async function addSubscription(bus: TestBus, profile: SignProfile): Promise<void> {
  const [id, tenant, signature] = [subscriptionOf(profile), SIGN_TENANT, SIGN_PROFILES[profile]];
  const sealedSecret = usesSecret(signature) ? { sealedSecret: await sealedSecretOf(bus, profile) } : {};
  const spec = aSpec({ config: { signature } });
  const event = { kind: 'SubscriptionCreated', id, tenant, spec, ...sealedSecret, ...told } as const;
  await append(bus, { aggregate: 'subscription', id, tenant, event });
}

async function sealedSecretOf(bus: TestBus, profile: SignProfile): Promise<string> {
  const reply = await ask<SealReply>(bus, { tenant: SIGN_TENANT, subscription: subscriptionOf(profile) });
  if (!reply.ok) throw new Error(reply.detail);
  return reply.sealed;
}

async function ask<Reply>(bus: TestBus, question: SealRequest): Promise<Reply> {
  const answer = await request(bus, bus.topology.sealSubject, Buffer.from(JSON.stringify(question)), ASK_TIMEOUT_MS);
  return JSON.parse(Buffer.from(answer).toString()) as Reply;
}

async function append(bus: TestBus, record: RegistryRecord): Promise<void> {
  const subject = bus.topology.registrySubject(record.tenant, record.aggregate, record.id);
  await bus.publisher.publish(subject, Buffer.from(JSON.stringify(record)));
}
