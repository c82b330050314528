import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { REPOSITORY, listFiles } from './repository.ts';

describe('ARCHITECTURE.md', () => {
  test('names in its tables only paths that exist, and many of them', () => {
    const paths = pathsInTables(read('ARCHITECTURE.md'));
    expect(paths.filter((path) => !existsSync(join(REPOSITORY, path)))).toEqual([]);
    expect(new Set(paths).size).toBeGreaterThanOrEqual(15);
  });

  test.each(['apps', 'libs'])('names every room of %s', (folder) => {
    const text = read('ARCHITECTURE.md');
    const rooms = readdirSync(join(REPOSITORY, folder)).map((room) => `${folder}/${room}`);
    expect(rooms.length).toBeGreaterThan(0);
    expect(rooms.filter((room) => !text.includes(room))).toEqual([]);
  });
});

describe('the import table', () => {
  test('is the one that dependency-cruiser enforces', async () => {
    const { MAY_IMPORT } = (await import(join(REPOSITORY, '.dependency-cruiser.mjs'))) as { MAY_IMPORT: object };
    const rows = [...read('ARCHITECTURE.md').matchAll(/^\| `libs\/(\w+)` +\|[^|]+\| ([\w, ]+?) +\|$/gm)];
    const written = rows.map(([, library = '', rooms = '']) => [library, rooms === 'nothing' ? [] : rooms.split(', ')]);
    expect(Object.fromEntries(written)).toEqual(MAY_IMPORT);
  });
});

describe('the documents', () => {
  test.each(markdownFiles())('%s links only to files that exist', (file) => {
    const broken = relativeLinks(read(file)).filter((link) => !existsSync(join(REPOSITORY, dirname(file), link)));
    expect(broken).toEqual([]);
  });

  test('include a glossary that the README links to', () => {
    expect(existsSync(join(REPOSITORY, 'docs/glossary.md'))).toBe(true);
    expect(relativeLinks(read('README.md'))).toContain('docs/glossary.md');
  });

  test('name in docs/egress.md every service that something leaves from', () => {
    const leaving = sources().flatMap((file) => {
      const [, app = ''] = /^apps\/([^/]+)\/(?!.*\.spec\.ts$)/.exec(file) ?? [];
      return app !== '' && /^import \{[^}]*\bmake(?:GuardedClient|NatsSinkClient)\b/m.test(read(file)) ? [app] : [];
    });
    const [, table = ''] = /^## What leaves$(.*?)^## /ms.exec(read('docs/egress.md')) ?? [];
    expect(leaving.length).toBeGreaterThan(1);
    expect(leaving.filter((app) => !new RegExp(`\\| the ${app}\\b[^|]*\\|$`, 'm').test(table))).toEqual([]);
  });

  test('list every decision in the index of docs/adr', () => {
    const decisions = readdirSync(join(REPOSITORY, 'docs/adr')).filter((name) => /^\d{4}-.+\.md$/.test(name));
    expect(decisions.length).toBeGreaterThan(0);
    expect(decisions.filter((name) => !read('docs/adr/README.md').includes(`(${name})`))).toEqual([]);
  });
});

describe('the repository', () => {
  test('mentions no path of a machine and no package host', () => {
    // Assembled, so that this file does not find itself.
    const forbidden = [
      ['..', 'shared'],
      ['', 'work', ''],
      ['', 'tmp', 'ph'],
      ['', 'root', ''],
    ].map((it) => it.join('/'));
    const offenders = trackedTexts().flatMap(({ file, text }) =>
      [...forbidden, 'registry.' + 'npmjs'].filter((word) => text.includes(word)).map((word) => `${file}: ${word}`),
    );
    expect(offenders).toEqual([]);
  });

  test('has a lockfile that installs from whatever registry one has', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
  });

  test('has a lockfile that names every platform of every package, so that npm ci takes it', () => {
    const check = spawnSync(process.execPath, ['tools/complete-lockfile.mjs', '--check'], { cwd: REPOSITORY });
    expect(check.stderr.toString()).toBe('');
    expect(check.status).toBe(0);
  });

  test('has no name that ends in a word for nothing in particular', () => {
    const vague =
      /^export (?:abstract )?(?:class|interface|type) (\w+(?:Manager|Helper|Utils?|Impl|Base|Info|Handler)|I[A-Z][a-z]\w*)\b/gm;
    const offenders = sources().flatMap((file) =>
      [...read(file).matchAll(vague)].map(([, name = '']) => `${file}: ${name}`),
    );
    expect(offenders).toEqual([]);
  });

  test('has no file of names that are exported again', () => {
    expect(sources().filter((file) => file.endsWith('/index.ts'))).toEqual([]);
  });
});

function read(file: string): string {
  return readFileSync(join(REPOSITORY, file), 'utf8');
}

function sources(): string[] {
  return listFiles(REPOSITORY, ['apps', 'libs', 'tools'], '.ts');
}

/** Code spans and link targets in table rows that look like a file or folder of the repository. */
function pathsInTables(markdown: string): string[] {
  const rows = markdown.split('\n').filter((line) => line.startsWith('|'));
  return rows.flatMap((row) => {
    const spans = [...row.matchAll(/`([^`]+)`/g), ...row.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)];
    return spans
      .map(([, span = '']) => span)
      .filter((span) => /^(apps|libs|test|bench|tools|docs|deploy|helm)\/[\w./@-]+$/.test(span));
  });
}

/** Targets of Markdown links, without anchors; neither URLs nor anchors of the same page. */
function relativeLinks(markdown: string): string[] {
  const prose = markdown.replace(/```[\s\S]*?```/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)[^)]*\)/g)]
    .map(([, target = '']) => target.split('#')[0] ?? '')
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** What Git tracks or would add: not what it ignores. */
function repositoryFiles(): string[] {
  const listing = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: REPOSITORY,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return listing.split('\0').filter((file) => file !== '' && existsSync(join(REPOSITORY, file)));
}

function markdownFiles(): string[] {
  return repositoryFiles().filter((file) => file.endsWith('.md') && !file.startsWith('test/vectors/'));
}

/** Texts that people wrote: not the lockfile, not vectors, which are copies. */
function trackedTexts(): { file: string; text: string }[] {
  return repositoryFiles()
    .filter((file) => file !== 'package-lock.json' && !file.startsWith('test/vectors/'))
    .map((file) => ({ file, text: read(file) }));
}
