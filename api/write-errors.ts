import { writeFile } from 'node:fs/promises';
import { errorsMarkdown } from './error-reference.ts';

/** Writes docs/errors.md: `node api/write-errors.ts`. */
await writeFile(new URL('../docs/errors.md', import.meta.url), errorsMarkdown());
