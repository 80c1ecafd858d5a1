import { writeFile } from 'node:fs/promises';
import { openApiDocument } from './http/openapi.ts';

/** Writes docs/openapi.json: `node api/write-openapi.ts`. */
const text = `${JSON.stringify(openApiDocument(), null, 2)}\n`;
await writeFile(new URL('../docs/openapi.json', import.meta.url), text);
