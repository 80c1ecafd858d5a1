/** Writes the table of folders into docs/architecture.md: `node test/walls-main.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { ARCHITECTURE, withRoomsTable } from './walls.ts';

writeFileSync(ARCHITECTURE, await withRoomsTable(readFileSync(ARCHITECTURE, 'utf8')));
