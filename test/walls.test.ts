import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ARCHITECTURE, importWalls, withRoomsTable } from './walls.ts';

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
