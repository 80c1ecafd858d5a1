import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';

/** How claude-mem's vector index (Chroma) compares with the rows. */
export interface VectorIndexState {
  /** claude-mem's file that records how far it has embedded; it may not exist yet. */
  readonly statePath: string;
  /** Chroma's own folder. */
  readonly chromaPath: string;
  /** Memories missing from the index that claude-mem will never add. */
  readonly passed: number;
  /** Memories that claude-mem adds at its worker's next start. */
  readonly waiting: number;
  /** Memories in the index whose rows are gone; null when Chroma's file could not be read. */
  readonly gone: number | null;
}

const Kinds = z.object({
  observations: z.array(z.number()).optional(),
  summaries: z.array(z.number()).optional(),
  prompts: z.array(z.number()).optional(),
});
/** chroma-sync-state.json: per claude-mem project, the highest embedded id, and lower ids still pending. */
const State = z.record(
  z.string(),
  z.object({
    observations: z.number().optional(),
    summaries: z.number().optional(),
    prompts: z.number().optional(),
    pending: Kinds.optional(),
  }),
);
type State = z.infer<typeof State>;
type Kind = keyof z.infer<typeof Kinds>;

const PREFIXES: Readonly<Record<string, Kind>> = {
  obs: 'observations',
  summary: 'summaries',
  prompt: 'prompts',
};

/** Rows that claude-mem embeds: id and claude-mem project. */
const EMBEDDED_ROWS: Readonly<Record<Kind, { table: string; from: string; project: string; text: string }>> =
  {
    observations: {
      table: 'observations',
      from: 'main.observations r',
      project: 'r.project',
      text: `coalesce(r.narrative, '') <> '' OR coalesce(r.text, '') <> '' OR coalesce(r.facts, '') NOT IN ('', '[]')`,
    },
    summaries: {
      table: 'session_summaries',
      from: 'main.session_summaries r',
      project: 'r.project',
      text: ['request', 'investigated', 'learned', 'completed', 'next_steps', 'notes']
        .map((column) => `coalesce(r.${column}, '') <> ''`)
        .join(' OR '),
    },
    prompts: {
      table: 'user_prompts',
      from: 'main.user_prompts r JOIN main.sdk_sessions s ON r.session_db_id = s.id',
      project: 's.project',
      text: `coalesce(r.prompt_text, '') <> ''`,
    },
  };

/** Chroma documents read per query, so that its own writer never waits long. */
const PAGE_DOCUMENTS = 20_000;

/**
 * Compares claude-mem's rows with its vector index; only reads. Per project, claude-mem records one highest id
 * and never embeds a merged row below it. No deletion reaches the index.
 * @param folders where claude-mem may keep the index: the database's folder first
 * @returns null when claude-mem keeps no vector index
 */
export function readVectorIndex(
  db: Database.Database,
  { databaseFolder, defaultFolder }: { databaseFolder: string; defaultFolder: string },
): VectorIndexState | null {
  const chromaPath = join(databaseFolder, 'chroma');
  // claude-mem finds this file through the environment only, not through its settings file.
  const candidates = [databaseFolder, defaultFolder].map((folder) => join(folder, 'chroma-sync-state.json'));
  const statePath = candidates.find((path) => existsSync(path)) ?? candidates[0] ?? '';
  const state = readState(statePath);
  const embedded = readEmbedded(join(chromaPath, 'chroma.sqlite3'));
  if (state === null && embedded === null) return null;
  let passed = 0;
  let waiting = 0;
  let gone = embedded === null ? null : 0;
  for (const kind of Object.keys(EMBEDDED_ROWS) as Kind[]) {
    const known = embedded?.[kind] ?? null;
    const left = new Set(known);
    for (const [id, project] of rowsOf(db, kind, known === null)) {
      left.delete(id);
      if (known?.has(id) === true) continue;
      const { [kind]: highest = 0, pending } = state?.[project] ?? {};
      // Without the file, claude-mem inspects the index at start and adds what is missing.
      const isPassed = state !== null && id <= highest && pending?.[kind]?.includes(id) !== true;
      if (isPassed) passed += 1;
      else waiting += 1;
    }
    if (gone !== null) gone += countGone(db, kind, left);
  }
  return { statePath, chromaPath, passed, waiting, gone };
}

/** Returns rows with text, by id and project. Only rows from peers when the index cannot be read. */
function rowsOf(db: Database.Database, kind: Kind, peersOnly: boolean): [number, string][] {
  const { table, from, project, text } = EMBEDDED_ROWS[kind];
  const columns = new Set(
    (db.pragma(`main.table_info(${table})`) as { name: string }[]).map(({ name }) => name),
  );
  if (kind === 'prompts' && !columns.has('session_db_id')) return [];
  if (peersOnly && !columns.has('origin_device_id')) return [];
  const peers = peersOnly ? `AND r.origin_device_id LIKE 'membridge:%'` : '';
  try {
    const rows = db.prepare(`SELECT r.id, ${project} FROM ${from} WHERE (${text}) ${peers}`).raw();
    return rows.all() as [number, string][];
  } catch (error) {
    // This release lacks one of the columns.
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_ERROR') return [];
    throw error;
  }
}

/** Returns how many ids of the index have no row. */
function countGone(db: Database.Database, kind: Kind, ids: ReadonlySet<number>): number {
  const row = db.prepare(`SELECT 1 FROM main.${EMBEDDED_ROWS[kind].table} WHERE id = ?`);
  return [...ids].filter((id) => row.get(id) === undefined).length;
}

function readState(path: string): State | null {
  try {
    return State.parse(JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')));
  } catch {
    // Missing, or unreadable for claude-mem as well, which then starts a new one.
    return null;
  }
}

/** Returns the ids that Chroma has documents for, by kind; null when its file is missing or unreadable. */
function readEmbedded(path: string): Record<Kind, Set<number>> | null {
  if (!existsSync(path) || !hasRollbackJournal(path)) return null;
  const found = { observations: new Set<number>(), summaries: new Set<number>(), prompts: new Set<number>() };
  let chroma: Database.Database | null = null;
  try {
    chroma = new Database(path, { readonly: true, fileMustExist: true, timeout: 500 });
    const page = chroma
      .prepare(
        `SELECT id, embedding_id FROM embeddings WHERE id > ? AND segment_id IN (SELECT s.id FROM segments s
         JOIN collections c ON s.collection = c.id WHERE c.name LIKE 'cm\\_\\_%' ESCAPE '\\') ORDER BY id LIMIT ${PAGE_DOCUMENTS}`,
      )
      .raw();
    let documents: [number, string][] = [];
    do {
      documents = page.all(documents.at(-1)?.[0] ?? 0) as [number, string][];
      for (const [, name] of documents) {
        const [, prefix = '', id = ''] = /^([a-z]+)_(\d+)/.exec(name) ?? [];
        const kind = PREFIXES[prefix];
        if (kind !== undefined) found[kind].add(Number(id));
      }
    } while (documents.length === PAGE_DOCUMENTS);
    return found;
  } catch (error) {
    // In use, or of an unknown Chroma version.
    if (error instanceof Database.SqliteError) return null;
    throw error;
  } finally {
    chroma?.close();
  }
}

/**
 * Returns whether reading a database leaves no file beside it; reading in WAL mode does (byte 19 of the
 * header).
 */
function hasRollbackJournal(path: string): boolean {
  const header = Buffer.alloc(20);
  const file = openSync(path, 'r');
  try {
    return readSync(file, header, 0, 20, 0) === 20 && header[19] === 1;
  } finally {
    closeSync(file);
  }
}
