import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { deliveriesOf, readCaptures, secretOf, sentAt } from '../../tools/languages/deliveries.ts';
import { readExamples, readReceivingPage } from '../../tools/languages/examples.ts';
import { feed } from '../../tools/languages/feed.ts';
import { TOOLCHAINS } from '../../tools/languages/toolchains.ts';
import { REPOSITORY } from './repository.ts';

// `npm run docs:languages` needs six toolchains, so it is not part of the check. This is what can be known without them.

const page = readReceivingPage();
const captures = readCaptures();
const secret = secretOf(captures);

afterEach(() => {
  jest.useRealTimers();
});

describe('docs/receiving.md', () => {
  test('has an example with a version for every language that it names, and a harness runs it', () => {
    const languages = readExamples(page).map(({ language }) => language.toLowerCase());
    expect(languages).toEqual(Object.keys(TOOLCHAINS));
    const files = Object.values(TOOLCHAINS).flatMap(({ harness }) => harness);
    expect(files.filter((file) => !existsSync(join(REPOSITORY, 'tools/languages/harness', file)))).toEqual([]);
  });

  test.each([
    ['a language without an example', '**Perl**, `cpan Webhooks@1.0.0`\n\nSoon.\n', 'no example for Perl'],
    ['an example without a language', 'Perl:\n\n```perl\nuse Webhooks;\n```\n', 'names no language'],
    ['a library without a version', '**Perl**, `cpan Webhooks`\n\n```perl\nuse Webhooks;\n```\n', 'no version'],
  ])('must not have %s', (_, addition, problem) => {
    const [before = '', after = ''] = page.split('Most of these read the body');
    expect(after).not.toBe('');
    expect(() => readExamples(`${before}${addition}\n${after}`)).toThrow(problem);
  });

  test('shows a request that is signed with the secret that it names', () => {
    const [, head = '', body = ''] = /```http\nPOST [^\n]*\n([^]*?)\n\n([^]*?)\n```/.exec(page) ?? [];
    const headers = Object.fromEntries(
      head.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    const [named = ''] = /whsec_[\w+/=]+/.exec(page) ?? [];
    jest.useFakeTimers({ now: Number(headers['webhook-timestamp']) * 1000, doNotFake: ['nextTick', 'setImmediate'] });
    expect(new Webhook(named).verify(body, headers)).toEqual(JSON.parse(body));
  });

  test('names the captured deliveries, which are what the examples get', () => {
    expect(page).toContain('](../test/vectors/captured-deliveries.json)');
    const file = readFileSync(join(REPOSITORY, 'test/vectors/captured-deliveries.json'), 'utf8');
    expect(captures.map(({ request }) => file.includes(JSON.stringify(request)))).toEqual([true, true]);
  });
});

describe('a captured delivery', () => {
  test.each(captures)('is what sending it again at its time gives, to the byte: $name', (capture) => {
    expect(sentAt(capture, capture.atSeconds)).toBe(capture.request);
    expect(sentAt(capture, capture.atSeconds + 1)).not.toBe(capture.request);
  });
});

describe('a receiver that is fed with them', () => {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const deliveries = captures.flatMap((capture) => deliveriesOf(capture, nowSeconds));
  const genuine = deliveries.filter(({ isGenuine }) => isGenuine).map(({ title }) => title);
  const forged = deliveries.filter(({ isGenuine }) => !isGenuine).map(({ title }) => title);
  let server: Server | undefined;

  afterEach(() => {
    server?.close();
  });

  /** What is wrong with a receiver that answers with what this returns, or 401. */
  async function problemsOf(read: (body: string, headers: IncomingHttpHeaders) => unknown): Promise<string[]> {
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const body = Buffer.concat((await request.toArray()) as Buffer[]).toString();
      try {
        response.end(JSON.stringify(read(body, request.headers)));
      } catch {
        response.statusCode = 401;
        response.end();
      }
    };
    server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return [...(await feed((server.address() as AddressInfo).port, deliveries))];
  }

  const verify = (body: string, headers: IncomingHttpHeaders): unknown =>
    new Webhook(secret).verify(body, headers as Record<string, string>);

  test('has no problems when it verifies', async () => {
    expect([genuine.length, forged.length]).toEqual([4, 18]);
    expect(await problemsOf(verify)).toEqual([]);
  });

  test('has one with every forged delivery when it believes everything', async () => {
    const problems = await problemsOf((body) => JSON.parse(body));
    expect(problems.map((line) => line.replace(/: answered 200[^]*/, ''))).toEqual(forged);
  });

  test('has one with every genuine delivery when it refuses everything', async () => {
    const problems = await problemsOf(() => {
      throw new Error('no');
    });
    expect(problems.map((line) => line.replace(/: answered 401[^]*/, ''))).toEqual(genuine);
  });

  test('has one with every genuine delivery when it reads something else', async () => {
    const problems = await problemsOf((body, headers) => [verify(body, headers)]);
    expect(problems.map((line) => line.replace(/: read as[^]*/, ''))).toEqual(genuine);
  });
});
