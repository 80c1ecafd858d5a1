import { isUtf8 } from 'node:buffer';
import type Database from 'better-sqlite3';
import type { Dice } from './dice.ts';
import { columnsOf, findRow, MADE_UP, TABLES, type Found, type RowKind } from './inventory.ts';
import type { Machine } from './machine.ts';
import type { Model } from './model.ts';
import { ADOPTED_INTO, isStaying, localName, spaceName } from './projects.ts';

type Columns = Record<string, string | number | null | Buffer>;

const CHILDREN = ['prompt', 'summary', 'observation'] as const;

/** The most rows that one step copies. */
const MAX_ROWS = 4;

/**
 * A tool besides Membridge that copies rows from one machine's database into another's, as claude-mem's own cloud
 * sync does. The copies get new ids and name their origin. Some go into a session that the tool makes.
 */
export class OtherSync {
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  /**
   * Copies some rows that the first machine's claude-mem wrote itself.
   * @returns how many it copied
   */
  copy(from: Machine, to: Machine, dice: Dice): number {
    const isAble = [from, to].every((machine) =>
      CHILDREN.every((kind) => machine.has(kind, 'origin_device_id')),
    );
    if (from === to || !isAble) return 0;
    const [there, here] = [from.counts(), to.counts()];
    // For twins nobody could say which of the two is the copy.
    const single = CHILDREN.flatMap((kind) =>
      nativeRows(from, kind)
        .map((id) => ({ ...findRow(from.worker, kind, id), kind }))
        .filter(({ identity }) => there.get(identity) === 1),
    );
    const chosen = dice.shuffled(single).slice(0, MAX_ROWS);
    return to.worker
      .transaction(() => chosen.filter((found) => this.#copyRow(from, to, found, here)).length)
      .immediate();
  }

  #copyRow(
    from: Machine,
    to: Machine,
    { kind, row: id }: Found & { kind: (typeof CHILDREN)[number] },
    here: ReadonlyMap<string, number>,
  ): boolean {
    const table = TABLES[kind];
    const link = kind === 'prompt' ? 'content_session_id' : 'memory_session_id';
    const row = exactRow(from, `SELECT * FROM ${table} WHERE id = ?`, id);
    const session = exactRow(
      from,
      `SELECT s.* FROM ${table} t JOIN sdk_sessions s ON s.${link} = t.${link} WHERE t.id = ?`,
      id,
    );
    if (row === null || session === null || isPrivate(session) || isPrivate(row)) return false;
    // The tool sends JSON, which would change text that is not UTF-8 into another memory.
    if (Object.values(row).some((value) => Buffer.isBuffer(value) && !isUtf8(value))) return false;
    const place = this.#place(to, kind, session, Number(row['created_at_epoch']));
    if (place === null) return false;
    delete row['id'];
    const origin = {
      origin_device_id: `device-${from.node}`,
      origin_local_id: String(id),
      synced_at: to.now(),
    };
    // A prompt keeps the name of its conversation, also in a session that the tool made.
    const links = kind === 'prompt' ? { session_db_id: place.id } : { project: nameFor(to, row) };
    const inserted = insert(to.worker, kind, { ...row, ...origin, ...links });
    if (inserted === null) return false;
    const { identity } = findRow(to.worker, kind, inserted);
    if ((here.get(identity) ?? 0) > 0) {
      to.copies.add(`${table}/${inserted}`);
      return true;
    }
    to.pending.set(identity, 1);
    this.#model.wrote(identity, 1, to.node, false);
    if (kind === 'prompt' && place.content === place.memory) to.madeUp.add(identity);
    return true;
  }

  /**
   * Chooses the session of a row by claude-mem's own rules (13.25.3). It is the session with its memory id. Otherwise
   * it is, for a prompt, the one of its conversation. Otherwise the tool makes one; for other rows than prompts it
   * uses the memory id as name.
   */
  #place(to: Machine, kind: (typeof CHILDREN)[number], session: Columns, at: number): Place | null {
    if (session['memory_session_id'] === null) return null;
    const [own, given] = [String(session['content_session_id']), String(session['memory_session_id'])];
    const find = (column: string, value: string): Place | undefined =>
      to.worker
        .prepare<string[], Place>(
          `SELECT id, content_session_id AS content, memory_session_id AS memory, project FROM sdk_sessions WHERE ${column} = ?`,
        )
        .get(value);
    const known = find('memory_session_id', given);
    if (known !== undefined) return isStaying(known.project) ? null : known;
    const content = kind === 'prompt' ? own : given;
    // Membridge gave the session this id: no name that tells which conversation it stands for.
    if (kind !== 'prompt' && content.startsWith(MADE_UP)) return null;
    const adopted = find('content_session_id', content);
    // A row whose session has another memory id than its own breaks a foreign key: the tool gives it up.
    if (adopted !== undefined) return kind !== 'prompt' || isStaying(adopted.project) ? null : adopted;
    const id = insert(to.worker, 'session', {
      content_session_id: content,
      memory_session_id: given,
      project: nameFor(to, session),
      platform_source: session['platform_source'] ?? null,
      started_at: new Date(at).toISOString(),
      started_at_epoch: at,
      status: 'completed',
    });
    if (id === null) return null;
    const { identity } = findRow(to.worker, 'session', id);
    to.pending.set(identity, 1);
    this.#model.wrote(identity, 1, to.node, false);
    return find('content_session_id', content) ?? null;
  }
}

/** A session for a row. */
interface Place {
  readonly id: number;
  readonly content: string;
  readonly memory: string | null;
  readonly project: string;
}

const isPrivate = ({ project, merged_into_project: merged }: Columns): boolean =>
  isStaying(String(project ?? '')) || String(merged ?? '') === ADOPTED_INTO;

const nameFor = (to: Machine, { project }: Columns): string =>
  localName(spaceName(String(project)), to.hasNames);

/** Returns the ids of rows that this machine's claude-mem wrote itself, in existing sessions. */
function nativeRows(machine: Machine, kind: (typeof CHILDREN)[number]): number[] {
  return machine.worker
    .prepare(`SELECT id FROM ${TABLES[kind]} WHERE origin_device_id IS NULL ORDER BY id`)
    .pluck()
    .all() as number[];
}

/** Returns one row with its texts as bytes, because not all of them are UTF-8. */
function exactRow({ worker }: Machine, sql: string, id: number): Columns | null {
  const columns = worker.prepare(sql).columns();
  const exact = columns.map(
    ({ name }) => `iif(typeof("${name}") = 'text', CAST("${name}" AS BLOB), "${name}") AS "${name}"`,
  );
  const row = worker.prepare(`SELECT ${exact.join(', ')} FROM (${sql})`).get(id);
  return row === undefined ? null : (row as Columns);
}

/** Inserts the values for which the table has columns. @returns the new id, or null when a constraint refuses the row */
function insert(db: Database.Database, kind: RowKind, row: Columns): number | null {
  const columns = [...columnsOf(db, TABLES[kind])].filter((name) => name in row);
  const values = columns.map((column) => row[column] ?? null);
  const places = values.map((value) => (Buffer.isBuffer(value) ? 'CAST(? AS TEXT)' : '?')).join(', ');
  const { changes, lastInsertRowid } = db
    .prepare(`INSERT OR IGNORE INTO ${TABLES[kind]} (${columns.join(', ')}) VALUES (${places})`)
    .run(values);
  return changes === 0 ? null : Number(lastInsertRowid);
}
