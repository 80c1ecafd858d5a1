import { dirname, join } from 'node:path';
import { homedir } from 'node:os';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { errorMessage } from '../../contract/errors.ts';
import { findFullTextProblems, type FullTextProblem } from '../../memory/claude-mem/full-text.ts';
import { holdersOf } from '../../memory/claude-mem/holders.ts';
import { mendFullText } from '../../memory/claude-mem/mend-full-text.ts';
import { openForReading } from '../../memory/claude-mem/open.ts';
import { readVectorIndex } from '../../memory/claude-mem/vector-index.ts';
import { Check } from '../../contract/nodes/remote-calls.ts';
import { defineEngineCall } from './engine-call.ts';

/** Checks the inside of claude-mem's database and its vector index, for `membridge doctor`. Writes nothing. */
export const inspectDatabase = defineEngineCall({
  name: 'doctor/database',
  isInternal: true,
  usage: '',
  summary: "check the inside of claude-mem's database",
  help: '',
  input: z.strictObject({}),
  output: z.strictObject({ checks: z.array(Check) }),
  changes: () => false,
  read: () => ({}),
  run: ({ databasePath }) => {
    const db = openForReading(databasePath);
    try {
      const problems = findFullTextProblems(db, { thorough: false });
      const checks = [examineFullText(databasePath, problems), examineForeignKeys(db, databasePath)];
      const vectors = examineVectors(db, databasePath);
      return Promise.resolve({ checks: [...checks.flat(), ...(vectors === null ? [] : [vectors])] });
    } finally {
      db.close();
    }
  },
  say: ({ checks }) => checks.map(({ name, detail }) => `${name}: ${detail}`),
});

/** Makes the repairs that the checks of `membridge doctor --fix` name. */
export const fixDatabase = defineEngineCall({
  name: 'doctor/fix',
  isInternal: true,
  usage: '',
  summary: 'repair what can be repaired safely',
  help: '',
  input: z.strictObject({ fixes: z.array(z.string()).max(16) }),
  output: z.strictObject({ ok: z.boolean(), lines: z.array(z.string()) }),
  changes: () => true,
  read: () => ({ fixes: [] }),
  run: ({ databasePath }, { fixes }) => {
    const db = openForReading(databasePath);
    let problems: FullTextProblem[];
    try {
      problems = findFullTextProblems(db, { thorough: true });
    } finally {
      db.close();
    }
    const asked = problems.filter((problem) => fixes.includes(fixOf(problem)?.id ?? ''));
    const mended = asked.map((problem) => mendFullText(databasePath, problem, holdersOf(databasePath)));
    const lines = mended.map(({ detail }) => detail);
    return Promise.resolve({
      ok: mended.every(({ done }) => done),
      lines: lines.length === 0 ? ['Nothing is left to repair.'] : lines,
    });
  },
  say: ({ lines }) => lines,
});

function fixOf({ index, mend }: FullTextProblem): { id: string; what: string } | undefined {
  if (mend === null) return undefined;
  return { id: `full-text:${index}`, what: `rebuild the full-text index ${index} from claude-mem's rows` };
}

function examineFullText(path: string, problems: readonly FullTextProblem[]): Check[] {
  if (problems.length === 0)
    return [{ name: 'full-text search', ok: true, detail: 'its indexes fit the rows' }];
  return problems.map((problem) => {
    const { index, mend } = problem;
    const fix = fixOf(problem);
    const what =
      mend === null
        ? `End Claude Code, stop claude-mem's worker, and start it again: it makes its indexes when it has none. Where another index is left, it does not: then run DROP TABLE for that one first.`
        : mend === 'rebuild'
          ? `Run "membridge doctor --fix", or the statement INSERT INTO ${index}(${index}) VALUES('rebuild') in ${path}.`
          : `Run "membridge doctor --fix": it makes the index again by claude-mem's own definition.`;
    const detail = `${index} is damaged: ${problem.problem}. claude-mem may not find or save memories. ${what}`;
    return { name: 'full-text search', ok: false, detail, ...(fix === undefined ? {} : { fix }) };
  });
}

function examineForeignKeys(db: Database.Database, path: string): Check[] {
  const name = 'foreign keys';
  const counts = new Map<string, number>();
  try {
    for (const table of ['observations', 'session_summaries', 'user_prompts']) {
      const broken = db
        .prepare(`SELECT count(*) FROM pragma_foreign_key_check(?, 'main')`)
        .pluck()
        .get(table);
      if ((broken as number) > 0) counts.set(table, broken as number);
    }
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_ERROR') throw error;
    return [{ name, ok: true, warning: true, detail: `cannot be checked: ${errorMessage(error)}` }];
  }
  if (counts.size === 0) return [{ name, ok: true, detail: 'every row has its session' }];
  const found = [...counts].map(([table, broken]) => `${broken} rows of ${table}`).join(', ');
  const detail = `${found} have no session here, as some releases of claude-mem leave them. They are kept and synced, and other machines give them a session of their own; claude-mem itself shows few of them. Nothing must be done. To list them: PRAGMA foreign_key_check in ${path}`;
  return [{ name, ok: true, warning: true, detail }];
}

function examineVectors(db: Database.Database, path: string): Check | null {
  const state = readVectorIndex(db, {
    databaseFolder: dirname(path),
    defaultFolder: join(homedir(), '.claude-mem'),
  });
  if (state === null) return null;
  const { passed, waiting, gone, statePath, chromaPath } = state;
  const name = 'vector search';
  const found = [
    ...(passed > 0
      ? [`${passed} memories are not in claude-mem's vector index, and claude-mem passes over them`]
      : []),
    ...((gone ?? 0) > 0
      ? [`${gone} memories that are gone are still in claude-mem's vector index, with their texts`]
      : []),
  ];
  const later = waiting > 0 ? `; ${waiting} more are added when claude-mem's worker starts next` : '';
  if (found.length === 0) {
    return {
      name,
      ok: true,
      detail: waiting > 0 ? `the index is complete${later}` : 'the index is complete',
    };
  }
  const removed = (gone ?? 0) > 0 ? `${statePath} and the folder ${chromaPath}` : statePath;
  const detail = `${found.join('; ')}${later}. Search by words still finds every memory. To complete the index: end Claude Code, stop claude-mem's worker, move ${removed} away, and start the worker (docs/internals/claude-mem.md)`;
  return { name, ok: true, warning: true, detail };
}
