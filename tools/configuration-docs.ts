// Writes docs/configuration.md from the schemas in apps/*/src/config.ts; `--check` only says whether it is fresh.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { z } from 'zod';
import { configurationTable } from './configuration-table.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs/configuration.md');
const INTRODUCTION = `# Configuration

Every service reads its configuration from the environment when it starts, checks all of it, lists every problem at once
and prints what is in effect, without secrets. An empty variable counts as unset. This page is generated from the schemas in
\`apps/*/src/config.ts\` by \`npm run docs:configuration\`; do not edit it.
`;

async function section(app: string): Promise<string> {
  const config = (await import(join(ROOT, 'apps', app, 'src/config.ts'))) as { configSchema: z.ZodObject };
  return `## ${app}\n\n${configurationTable(config.configSchema)}\n`;
}

async function page(): Promise<string> {
  const apps = readdirSync(join(ROOT, 'apps')).filter((app) => existsSync(join(ROOT, 'apps', app, 'src/config.ts')));
  if (apps.length === 0) throw new Error('No apps/*/src/config.ts was found.');
  // The all-in-one first: it is what a newcomer starts.
  apps.sort((a, b) => Number(b === 'all-in-one') - Number(a === 'all-in-one') || a.localeCompare(b));
  const sections = await Promise.all(apps.map(section));
  const options = await resolveConfig(PAGE);
  return format([INTRODUCTION, ...sections].join('\n'), { ...options, parser: 'markdown' });
}

const fresh = await page();
const stored = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, fresh);
} else if (fresh !== stored) {
  console.error('docs/configuration.md is stale: run npm run docs:configuration');
  process.exitCode = 1;
}
