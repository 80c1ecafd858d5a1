import type Database from 'better-sqlite3';
import type { Dice } from './dice.ts';
import { columnsOf } from './inventory.ts';

const TABLES = ['sdk_sessions', 'user_prompts', 'session_summaries', 'observations'];

/**
 * Fills an empty database of one claude-mem release with another's rows, including ids, as an upgrade of a copy
 * leaves it. Hashes that the older release lacked are random, as claude-mem's own upgrade makes them.
 */
export function copyRows(from: Database.Database, to: Database.Database, dice: Dice): void {
  to.transaction(() => {
    for (const table of TABLES) {
      const columns = [...columnsOf(to, table)].filter((column) => columnsOf(from, table).has(column));
      const insert = to.prepare(
        `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      );
      for (const row of from
        .prepare(`SELECT ${columns.join(', ')} FROM ${table}`)
        .raw()
        .iterate()) {
        insert.run(row);
      }
    }
    if (columnsOf(to, 'observations').has('content_hash') && dice.chance(0.7)) {
      for (const id of to.prepare('SELECT id FROM observations').pluck().all())
        to.prepare('UPDATE observations SET content_hash = ? WHERE id = ?').run(String(dice.seed()), id);
    }
    if (columnsOf(to, 'user_prompts').has('session_db_id')) {
      to.exec(`UPDATE user_prompts SET session_db_id =
        (SELECT id FROM sdk_sessions s WHERE s.content_session_id = user_prompts.content_session_id)`);
    }
  })();
}
