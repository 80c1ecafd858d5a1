import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { KNOWN_SETTINGS } from '../contract/settings.ts';
import { SERVER_NAMES_LIKE_AGENT } from '../stack/membridge.ts';
import { parserDefaults, parserNames } from './parser-names.ts';

const root = dirname(import.meta.dirname);
const text = readFileSync(join(root, 'docs', 'settings.md'), 'utf8');

/** Reads a table of docs/settings.md: name and default, `null` for a dash. */
function documented(heading: string): Map<string, string | null> {
  const [, after = ''] = text.split(`\n## ${heading}`);
  const [section = ''] = after.split('\n## ');
  const rows = [...section.matchAll(/^\| `([A-Z_]+)` +\| (?:`([^`]*)`|-) +\|/gm)];
  return new Map(rows.map(([, name = '', value]) => [name, value ?? null]));
}

/** Returns names that the code of stack/ reads from the environment. */
function stackNames(): string[] {
  const sources = readdirSync(join(root, 'stack'))
    .filter((file) => /\.(ts|mjs)$/.test(file) && !file.includes('.test.'))
    .map((file) => readFileSync(join(root, 'stack', file), 'utf8'));
  const found = sources.flatMap((source) => [
    ...source.matchAll(/\benv\.([A-Z_]{3,})/g),
    ...source.matchAll(/'(MEMBRIDGE_[A-Z_]*[A-Z])'/g),
  ]);
  return [...new Set(found.map(([, name = '']) => name))];
}

/** Returns a list of names in deploy/install/settings.sh, as bash reads it. */
function installerNames(list: string): string[] {
  const script = `. deploy/install/settings.sh; printf '%s\\n' "\${${list}[@]}"`;
  return execFileSync('bash', ['-c', script], { cwd: root, encoding: 'utf8' }).trim().split('\n');
}

test('documents exactly the names and defaults that the parsers of server and agent read', () => {
  expect(documented('Server')).toEqual(
    // The parser has no default here; MEMBRIDGE_PORT defaults to PORT.
    new Map([...parserDefaults('api'), ['MEMBRIDGE_PORT', '8000']]),
  );
  expect(documented('Agent')).toEqual(parserDefaults('agent'));
});

test('documents exactly the names that the stack reads', () => {
  const all = ['Server', 'Agent', 'Stack'].flatMap((heading) => [...documented(heading).keys()]);
  // Go's, systemd's and the shell's own.
  const foreign = ['PATH', 'JOURNAL_STREAM', 'GOBIN', 'GOOS', 'GOARCH'];
  const names = stackNames();
  expect(names.filter((name) => !all.includes(name) && !foreign.includes(name))).toEqual([]);
  const table = documented('Stack');
  expect([...table.keys()].filter((name) => !names.includes(name))).toEqual([]);
  const sources = ['stack.ts', 'start.ts']
    .map((file) => readFileSync(join(root, 'stack', file), 'utf8'))
    .join('\n');
  for (const [name, value] of table) {
    if (!name.endsWith('_PORT')) continue;
    const [, standard] = new RegExp(`'${name}', env, ([\\d_]+)`).exec(sources) ?? [];
    expect(standard?.replaceAll('_', ''), name).toBe(value);
  }
});

test('npm start gives the control plane every setting of its own that looks like one of an agent', () => {
  const names = [...parserDefaults('api').keys()].filter((name) => name.startsWith('MEMBRIDGE_AGENT_'));
  expect(names.sort()).toEqual([...SERVER_NAMES_LIKE_AGENT].sort());
});

test('documents every MEMBRIDGE_ name that the server accepts', () => {
  expect(KNOWN_SETTINGS.length).toBeGreaterThan(30);
  expect(KNOWN_SETTINGS.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

test('documents everything that compose reads from .env, and names all of it in .env.example', () => {
  const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
  const names = [
    ...new Set([...compose.matchAll(/\$\{([A-Z_]+):/g)].map(([, name = '']) => name)),
  ].toSorted();
  expect(names.filter((name) => !text.includes(`| \`${name}\``))).toEqual([]);
  const example = readFileSync(join(root, '.env.example'), 'utf8');
  expect([...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name = '']) => name).toSorted()).toEqual(names);
});

test('keeps in the installer every setting that the installed service reads', () => {
  const sorted = (names: string[]): string[] => [...new Set(names)].toSorted();
  expect(sorted([...installerNames('server_settings'), 'PORT', 'CHROMIUM_PATH'])).toEqual(
    sorted([...parserNames('api'), ...documented('Stack').keys()]),
  );
  expect(sorted([...installerNames('agent_settings'), 'MEMBRIDGE_ENROL_TOKEN'])).toEqual(
    sorted([...parserNames('agent'), 'XDG_CACHE_HOME']),
  );
});
