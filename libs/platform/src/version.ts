import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** The version in package.json, for example `0.1.0`. */
export function productVersion(): string {
  const path = findPackageJSON('..', import.meta.url);
  if (path === undefined) return '0.0.0';
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version?: string };
  return version ?? '0.0.0';
}
