import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readMasterKeys } from './read-master-keys.ts';

const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const [one, two] = [first.toString('base64'), second.toString('base64')];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ph-keys-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(content: string): string {
  const path = join(folder, 'key');
  writeFileSync(path, content);
  return path;
}

describe('readMasterKeys', () => {
  test('takes one or several, from the variable or from a file', () => {
    expect(readMasterKeys({ POSTHASTE_MASTER_KEY: one }).map(Buffer.from)).toEqual([first]);
    expect(readMasterKeys({ POSTHASTE_MASTER_KEY: `${two}, ${one}` }).map(Buffer.from)).toEqual([second, first]);
    expect(readMasterKeys({ POSTHASTE_MASTER_KEY_FILE: file(`${one}\n`) }).map(Buffer.from)).toEqual([first]);
    expect(readMasterKeys({ POSTHASTE_MASTER_KEY_FILE: file(`${two}\r\n${one}\n`) }).map(Buffer.from)).toEqual([
      second,
      first,
    ]);
  });

  test.each([
    [{}, 'is required'],
    [{ POSTHASTE_MASTER_KEY: one, POSTHASTE_MASTER_KEY_FILE: '/x' }, 'not both'],
    [{ POSTHASTE_MASTER_KEY: `${one},no` }, 'POSTHASTE_MASTER_KEY: must be base64 of 32'],
    [{ POSTHASTE_MASTER_KEY_FILE: '/nowhere/key' }, '/nowhere/key can not be read (ENOENT)'],
  ])('says what is wrong with %j', (config, why) => {
    expect(() => readMasterKeys(config)).toThrow(why);
  });

  test('never repeats what stands in the file', () => {
    const path = file('hunter2');
    expect(() => readMasterKeys({ POSTHASTE_MASTER_KEY_FILE: path })).toThrow(`${path} must be base64`);
    expect(() => readMasterKeys({ POSTHASTE_MASTER_KEY_FILE: path })).not.toThrow('hunter2');
    expect(() => readMasterKeys({ POSTHASTE_MASTER_KEY_FILE: file('') })).toThrow('must be base64');
  });
});
