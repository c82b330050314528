import { describe, expect, test } from '@jest/globals';
import { pasteLines, welcomeText, type Welcome } from './welcome.ts';

const WELCOME: Welcome = {
  version: '1.2.3',
  startedInMs: 4321,
  httpUrl: 'http://127.0.0.1:8080',
  registryUrl: 'http://127.0.0.1:8080',
  inboxUrl: 'http://127.0.0.1:8080/inbox',
  inboxSecret: 'whsec_abc/+=',
  adminToken: 'pha_admin',
  tenant: 'default',
  apiKey: 'phk_key',
  dataDir: '/data',
  natsUrl: 'nats://posthaste:p@127.0.0.1:4222',
  deployment: '',
  httpHost: '127.0.0.1',
  eventId: 'hello-1',
};

describe('the welcome', () => {
  test('names everything that one needs', () => {
    const text = welcomeText(WELCOME);
    for (const part of ['1.2.3', '(4.3 s)', 'pha_admin', 'default, API key phk_key', '/inbox/hello', '/data']) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain('Management');
    for (const line of pasteLines(WELCOME)) expect(text.split('\n')).toContain(line);
  });

  test('names the management URL and the processes of a cluster', () => {
    const text = welcomeText({
      ...WELCOME,
      registryUrl: 'http://127.0.0.1:8081',
      more: [['signer', 'http://x/metrics']],
    });
    expect(text).toMatch(/^ {2}Management +http:\/\/127\.0\.0\.1:8081$/m);
    expect(text).toMatch(/^ {2}signer +http:\/\/x\/metrics$/m);
  });

  test('says where producers publish on NATS, with the prefix of the deployment', () => {
    expect(welcomeText(WELCOME)).toContain(`${WELCOME.natsUrl}  publish onto ce.default.<type>\n`);
    expect(welcomeText({ ...WELCOME, deployment: 'blue' })).toContain('publish onto blue.ce.default.<type>\n');
  });

  test.each(['127.0.0.1', '127.0.0.2', '::1', 'localhost'])('warns of nothing when it listens on %s', (httpHost) => {
    expect(welcomeText({ ...WELCOME, httpHost })).not.toContain('Warning');
  });

  test.each(['0.0.0.0', '::', '10.0.0.5', '127.example.com'])(
    'warns in one line that the inboxes are open when it listens on %s',
    (httpHost) => {
      const warnings = welcomeText({ ...WELCOME, httpHost })
        .split('\n')
        .filter((line) => line.startsWith('Warning: '));
      expect(warnings).toEqual([expect.stringContaining(`listens on ${httpHost}`)]);
    },
  );

  test('has lines without a quote that would end the shell’s', () => {
    for (const line of pasteLines(WELCOME)) {
      expect(line).not.toContain('\n');
      expect((line.match(/'/g) ?? []).length % 2).toBe(0);
    }
  });
});
