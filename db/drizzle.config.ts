import { defineConfig } from 'drizzle-kit';

/** For `npx drizzle-kit generate --config db/drizzle.config.ts --name <what-changed>`. */
export default defineConfig({ dialect: 'postgresql', schema: './db/schema.ts', out: './db/migrations' });
