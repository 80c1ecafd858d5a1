import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import { expect, it } from 'vitest';
import { ARCHITECTURE, ROOMS, importWalls, withRoomsTable } from './walls.ts';

it('docs/architecture.md shows the table of folders as it is', async () => {
  const page = readFileSync(ARCHITECTURE, 'utf8');
  expect(await withRoomsTable(page)).toBe(page);
});

it('the walls of api/ let in the formats of memory/ and nothing else of it', () => {
  const wall = importWalls().find(({ files }) => files.includes('api/*/*.ts'));
  const [pattern] = wall?.rules['no-restricted-imports'][1].patterns ?? [];
  expect(pattern?.group).toContain('../../memory/**');
  expect(pattern?.group).toContain('!../../memory/format/**');
  expect(pattern?.group).not.toContain('../../contract/**');
});

it('every source file of a folder with a wall lies behind it', () => {
  const walls = importWalls();
  const sources = execFileSync('git', ['ls-files', '*.ts', '*.tsx']).toString().trim().split('\n');
  const isOpen = (file: string): boolean =>
    !walls.some(({ files, excludeFiles }) =>
      [...files, ...excludeFiles].some((glob) => matchesGlob(file, glob)),
    );
  const withWalls = ROOMS.filter(({ imports }) => imports !== undefined);
  const open = sources.filter(
    (file) => withWalls.some(({ folder }) => file.startsWith(`${folder}/`)) && isOpen(file),
  );
  expect(open).toEqual([]);
});
