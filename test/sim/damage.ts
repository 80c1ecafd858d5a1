import type Database from 'better-sqlite3';
import { findFullTextProblems } from '../../memory/claude-mem/full-text.ts';
import { mendFullText } from '../../memory/claude-mem/mend-full-text.ts';
import type { Dice } from './dice.ts';
import type { Machine } from './machine.ts';
import { openOutside } from './process.ts';

const INDEXES = ['observations_fts', 'session_summaries_fts', 'user_prompts_fts'] as const;

/** The damage that a crash or a bad disk leaves in an index, as SQL that SQLite itself would refuse. */
const DAMAGES: readonly ((index: string) => string)[] = [
  (index) => `UPDATE ${index}_data SET block = x'' WHERE id = 10`,
  (index) => `UPDATE ${index}_data SET block = zeroblob(length(block)) WHERE id = 10`,
  (index) => `DELETE FROM ${index}_data WHERE id = 10`,
  (index) => `DROP TABLE ${index}_data`,
  (index) => `DROP TABLE ${index}_idx`,
  (index) => `DROP TABLE ${index}_docsize`,
  (index) => `DROP TABLE ${index}_config`,
];

/** Runs SQL that SQLite itself would refuse, such as dropping a table of an index, and closes the connection. */
export function writeDamage(db: Database.Database, sql: string): void {
  try {
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    db.exec(sql);
  } finally {
    db.close();
  }
}

/**
 * Damages one full-text index of a machine. From then on its claude-mem can save nothing.
 * @returns whether there was a sound one
 */
export function damageIndex(machine: Machine, dice: Dice): boolean {
  if (machine.isIndexDamaged) return false;
  const sql = dice.pick(DAMAGES)(dice.pick(INDEXES));
  writeDamage(openOutside(machine.path), sql);
  machine.isIndexDamaged = true;
  return true;
}

/**
 * Repairs damaged indexes, as `membridge doctor --fix` does.
 * @returns whether any was damaged
 * @throws Error when an index stays damaged
 */
export function mendIndexes(machine: Machine): boolean {
  if (!machine.isIndexDamaged) return false;
  const db = openOutside(machine.path);
  const problems = findFullTextProblems(db, { thorough: true });
  db.close();
  for (const problem of problems) {
    const { done, detail } = mendFullText(machine.path, problem, []);
    if (!done) throw new Error(`${machine.name}: ${detail}`);
  }
  machine.isIndexDamaged = false;
  return problems.length > 0;
}
