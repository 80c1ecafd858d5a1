import { writeFile } from 'node:fs/promises';
import { connectDatabase } from './connect.ts';
import { dumpSchema } from './dump-schema.ts';
import { migrateDatabase } from './migrate.ts';

/** Writes db/schema.sql from an empty database: `DATABASE_URL=postgresql://… node db/write-schema.ts`. */
const url = process.env['DATABASE_URL'];
if (url === undefined)
  throw new Error('Set DATABASE_URL to an empty database; its schema is written to db/schema.sql.');
const db = connectDatabase(url, { onIdleError: (error) => console.error(error.message) });
try {
  await migrateDatabase(db);
  await writeFile(new URL('./schema.sql', import.meta.url), await dumpSchema(db));
} finally {
  await db.close();
}
