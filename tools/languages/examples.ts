import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** How docs/receiving.md verifies a notification in one language. */
export interface Example {
  /** As the page writes it: `Node`, `PHP`. */
  readonly language: string;
  /** The library with its exact version: the command that installs it, for Java its coordinates. */
  readonly library: string;
  /** What the fenced block has, to the byte. */
  readonly code: string;
}

const PAGE = join(import.meta.dirname, '../../docs/receiving.md');
const SECTION = /^## Verify in your language\n([^]*?)^## /m;
const EXAMPLE = /^\*\*(?<language>[^*]+)\*\*[ \d.]*, `(?<library>[^`]+)`[^\n]*\n\n```\w+\n(?<code>[^]*?)^```$/gm;
const VERSION = /(?:@v?|==|:|-v )\d+\.\d+\.\d+$/;

export function readReceivingPage(): string {
  return readFileSync(PAGE, 'utf8');
}

/**
 * The examples of the page, in its order.
 *
 * @throws Error when a language is named without an example, an example without a language, or a library without a version
 */
export function readExamples(page: string): readonly Example[] {
  const section = SECTION.exec(page)?.[1] ?? '';
  const examples = [...section.matchAll(EXAMPLE)].map(
    ({ groups: { language = '', library = '', code = '' } = {} }) => ({ language, library, code }),
  );
  const named = [...section.matchAll(/^\*\*([^*]+)\*\*/gm)].map(([, language = '']) => language);
  const bare = named.filter((name) => !examples.some(({ language }) => language === name));
  if (bare.length > 0) throw new Error(`docs/receiving.md has no example for ${bare.join(', ')}`);
  const blockCount = section.match(/^```\w/gm)?.length ?? 0;
  if (blockCount !== examples.length) throw new Error('docs/receiving.md has an example that names no language');
  const loose = examples.filter(({ library }) => !VERSION.test(library));
  if (loose.length > 0) throw new Error(`docs/receiving.md says no version: ${loose[0]?.library ?? ''}`);
  return examples;
}
