import { readFileSync } from 'node:fs';
import { ConfigError } from '#platform/config';
import { parseMasterKey } from './master-key.ts';

export interface MasterKeyConfig {
  readonly POSTHASTE_MASTER_KEY?: string | undefined;
  readonly POSTHASTE_MASTER_KEY_FILE?: string | undefined;
}

/** The keys in a text, between commas, blanks and line breaks; `undefined` when one is not base64 of 32 bytes, or there is none. */
export function parseMasterKeys(text: string): readonly [Uint8Array, ...Uint8Array[]] | undefined {
  const keys = text.split(/[\s,]+/).filter((part) => part !== '');
  const [first, ...others] = keys.map(parseMasterKey);
  if (first === undefined || others.includes(undefined)) return undefined;
  return [first, ...others.filter((key) => key !== undefined)];
}

/**
 * The configured master keys, from the variable or from the file.
 *
 * @throws ConfigError that says which of the two is wrong, and never what stands there
 */
export function readMasterKeys(config: MasterKeyConfig): readonly [Uint8Array, ...Uint8Array[]] {
  const { POSTHASTE_MASTER_KEY: text, POSTHASTE_MASTER_KEY_FILE: file } = config;
  if (file !== undefined && text !== undefined) {
    throw new ConfigError(['POSTHASTE_MASTER_KEY_FILE: give either the file or POSTHASTE_MASTER_KEY, not both']);
  }
  if (file === undefined && text === undefined) {
    throw new ConfigError(['POSTHASTE_MASTER_KEY: is required, or POSTHASTE_MASTER_KEY_FILE']);
  }
  const keys = parseMasterKeys(file === undefined ? (text ?? '') : readKeyFile(file));
  if (keys !== undefined) return keys;
  const name = file === undefined ? 'POSTHASTE_MASTER_KEY' : 'POSTHASTE_MASTER_KEY_FILE';
  const what = file === undefined ? '' : `${file} `;
  throw new ConfigError([`${name}: ${what}must be base64 of 32 random bytes, or several of them`]);
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown' } = error as { readonly code?: string };
    throw new ConfigError([`POSTHASTE_MASTER_KEY_FILE: ${path} can not be read (${code})`]);
  }
}
