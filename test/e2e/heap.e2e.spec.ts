import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { callApi, expectStatus } from '#testkit/tenant-client';
import { probeOptions, withHeapDump, type HeapDump } from './heap-dump.ts';
import { liveWithSecrets, notePrivateKeys, type Note, type SecretKind } from './life-of-secrets.ts';
import { formsOf } from './secret-forms.ts';
import { startStage, type Stage } from './stage.ts';
import { liveWholeLife } from './whole-life.ts';

/*
 * Looks at what the JavaScript of each service still reaches after a life that used every secret there is: all strings (a heap
 * snapshot has them) and the contents of all buffers (it has not). Nobody looks at memory that is free and not used again yet, nor
 * at what OpenSSL, V8 and the kernel have of their own: TLS, environments, and the keys that the signer has opened (`KeyObject`).
 */

jest.setTimeout(180_000);

/** Who may have what when all is sent and answered. While a command is under way, the registry has what came with it. */
const HOLDERS: Readonly<
  Record<SecretKind, { readonly strings: readonly string[]; readonly buffers: readonly string[] }>
> = {
  sealed: { strings: ['signer'], buffers: ['signer'] },
  // Delivery gets it from the signer in a buffer. Once it is sent, no string has it.
  sent: { strings: ['signer'], buffers: ['signer', 'delivery'] },
  // A key is known by its hash.
  presented: { strings: [], buffers: [] },
  // It stands in the configuration of both.
  operator: { strings: ['gateway', 'registry'], buffers: ['gateway', 'registry'] },
};

/** Of the whole life, what is not sealed. */
const KINDS: Readonly<Record<string, SecretKind>> = {
  'API key': 'presented',
  'token that nobody has': 'presented',
  'admin token': 'operator',
  'password for the sink': 'sent',
};

interface Secret {
  readonly what: string;
  readonly kind: SecretKind;
  readonly forms: readonly string[];
}

const [oldMasterKey, newMasterKey] = [randomBytes(32), randomBytes(32)];

let directory: string;
let stage: Stage;
/** Every process has those of its start in its environment; only the signer may read them there. */
let masterKeys: readonly [Buffer, ...Buffer[]] = [oldMasterKey];
const secrets: Secret[] = [];
const note: Note = (what, text, kind) => {
  secrets.push({ what, kind, forms: formsOf(text) });
  return text;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'posthaste-heap-'));
  stage = await startStage({
    env: { POSTHASTE_LOG_LEVEL: 'trace' },
    envOf: () => ({ POSTHASTE_MASTER_KEY: masterKeys.map((key) => key.toString('base64')).join() }),
    nodeOptions: (name) => probeOptions(directory, name),
  });
  const { secrets: ofWholeLife } = await liveWholeLife(stage, 'acme');
  for (const [what, text] of ofWholeLife) note(what, text, KINDS[what] ?? 'sealed');
  const { publish } = await liveWithSecrets(stage, note);
  await replaceMasterKey();
  await publish();
  for (const key of masterKeys) note('master key', key.toString('base64'), 'sealed');
  await notePrivateKeys(stage, masterKeys, note);
});

afterAll(async () => {
  await stage.stop();
  await rm(directory, { recursive: true, force: true });
});

/** As docs/signatures.md says: a signer with both, then everything is sealed anew. */
async function replaceMasterKey(): Promise<void> {
  masterKeys = [newMasterKey, oldMasterKey];
  await stage.cluster.kill('signer', 'SIGTERM');
  await stage.cluster.restart('signer');
  const headers = { authorization: `Bearer ${stage.cluster.adminToken}` };
  const resealed = await callApi('POST', `${stage.cluster.apiUrl}/v1/secrets/reseal`, { headers });
  expect(expectStatus(200, 'reseal', resealed).json()).toMatchObject({ failed: [] });
}

const isInStrings = ({ strings }: HeapDump, text: string): boolean => strings.includes(text);
const isInBuffers = ({ bytes }: HeapDump, text: string): boolean => bytes.includes(text, 0, 'latin1');

/** What is there and must not be, and who holds it. */
function surplusOf(dump: HeapDump, app: string): readonly string[] {
  const surplus: string[] = [];
  for (const { what, kind, forms } of secrets) {
    const { strings, buffers } = HOLDERS[kind];
    const string = strings.includes(app) ? undefined : forms.find((form) => isInStrings(dump, form));
    if (string !== undefined) surplus.push(`${what}, as ${dump.holderOf(string)}`);
    if (!buffers.includes(app) && forms.some((form) => isInBuffers(dump, form))) surplus.push(`${what}, in a buffer`);
  }
  return surplus;
}

describe('a secret', () => {
  test.each(['gateway', 'registry', 'matcher-1', 'delivery-1', 'projector', 'janitor'])(
    'is in no string and no buffer of %s',
    (name) =>
      withHeapDump(directory, stage.cluster.service(name), (dump) => {
        const app = name.replace(/-\d+$/, '');
        expect(secrets.length).toBeGreaterThan(30);
        expect(surplusOf(dump, app)).toEqual([]);
        // What is there is found.
        const { natsUrl, databaseUrl, adminToken } = stage.cluster;
        expect(isInStrings(dump, natsUrl) || isInStrings(dump, databaseUrl)).toBe(true);
        expect(isInStrings(dump, adminToken)).toBe(HOLDERS.operator.strings.includes(app));
        expect(isInBuffers(dump, dump.planted)).toBe(true);
      }),
  );

  test('is in those of the signer, and found', () =>
    withHeapDump(directory, stage.cluster.service('signer'), (dump) => {
      const isFound = ({ forms }: Secret) => forms.some((form) => isInStrings(dump, form));
      expect(secrets.filter(isFound).map(({ what }) => what)).toEqual(
        expect.arrayContaining([
          'client secret of REFRESHTOKEN',
          'client secret of CLIENTCREDENTIALS',
          'obtained refresh token',
          'obtained access token',
          'password',
          'access token',
          'key for the sink',
          'token of Posthaste',
          'master key',
        ]),
      );
      expect(isInBuffers(dump, newMasterKey.toString('latin1'))).toBe(true);
      expect(surplusOf(dump, 'signer')).toEqual([]);
    }));
});
