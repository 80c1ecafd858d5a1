import type Database from 'better-sqlite3';

export const ROW_KINDS = ['session', 'prompt', 'summary', 'observation'] as const;
export type RowKind = (typeof ROW_KINDS)[number];

export const TABLES: Readonly<Record<RowKind, string>> = {
  session: 'sdk_sessions',
  prompt: 'user_prompts',
  summary: 'session_summaries',
  observation: 'observations',
};

/** Columns in which two machines must agree once both have them; what names a row is part of its identity instead. */
const STATE: Readonly<Record<RowKind, readonly string[]>> = {
  session: ['project', 'user_prompt', 'custom_title', 'status', 'started_at_epoch', 'completed_at_epoch'],
  prompt: [],
  summary: ['project', 'merged_into_project', 'investigated', 'notes', 'prompt_number', 'discovery_tokens'],
  observation: [
    'project',
    'merged_into_project',
    'concepts',
    'subtitle',
    'facts',
    'files_read',
    'files_modified',
    'prompt_number',
    'discovery_tokens',
    'agent_type',
    'metadata',
  ],
};

/** A memory as a person would recognize it, and its row. */
export interface Found {
  readonly kind: RowKind;
  /** Equal on all machines for one memory; names its session, its time and its text. */
  readonly identity: string;
  readonly row: number;
  /** Columns that may differ between machines only until they have settled. */
  readonly state: Readonly<Record<string, string>>;
}

/** claude-mem's names of its two session columns. */
interface SessionColumns {
  readonly content: string;
  readonly memory: string;
}

export function sessionColumns(db: Database.Database): SessionColumns {
  return columnsOf(db, 'sdk_sessions').has('claude_session_id')
    ? { content: 'claude_session_id', memory: 'sdk_session_id' }
    : { content: 'content_session_id', memory: 'memory_session_id' };
}

const SEEN = new WeakMap<Database.Database, Map<string, ReadonlySet<string>>>();

/** Returns the columns of a table, as they were at the first call. */
export function columnsOf(db: Database.Database, table: string): ReadonlySet<string> {
  const known = SEEN.get(db) ?? new Map<string, ReadonlySet<string>>();
  SEEN.set(db, known);
  let columns = known.get(table);
  if (columns === undefined) {
    columns = new Set((db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name));
    known.set(table, columns);
  }
  return columns;
}

/** Quotes text by its bytes: not all of it is UTF-8. */
const exact = (column: string): string => `quote(CAST(${column} AS BLOB))`;

/** Separates the two parts of a memory id: its own name, and the conversation that it was given for. */
export const CONVERSATION_MARK = '@';

/**
 * Returns the conversation of a row, from its session's name. A session that another sync made has a memory id as its
 * name, which contains the conversation.
 */
const conversation = (name: string): string =>
  exact(`substr(${name}, instr(${name}, '${CONVERSATION_MARK}') + 1)`);

function select(db: Database.Database, kind: RowKind): string {
  const { content, memory } = sessionColumns(db);
  const platform = columnsOf(db, 'sdk_sessions').has('platform_source') ? 's.platform_source' : `'claude'`;
  const state = STATE[kind]
    .filter((column) => columnsOf(db, TABLES[kind]).has(column))
    .map((column) => `'${column}', quote(t.${column})`)
    .join(', ');
  const answer = (parts: string[], from: string): string =>
    `SELECT t.id AS row, json_array('${kind}', ${parts.join(', ')}) AS identity, json_object(${state}) AS state FROM ${from}`;
  const joined = `LEFT JOIN sdk_sessions s ON s.${memory} = t.${memory}`;
  switch (kind) {
    case 'session':
      return answer([platform.replace('s.', 't.'), exact(`t.${content}`)], 'sdk_sessions t');
    case 'prompt':
      return answer(
        [exact(`t.${content}`), 't.prompt_number', 't.created_at_epoch', exact('t.prompt_text')],
        'user_prompts t',
      );
    case 'summary':
      return answer(
        [
          conversation(`coalesce(s.${content}, t.${memory})`),
          't.created_at_epoch',
          exact('t.request'),
          exact('t.learned'),
        ],
        `session_summaries t ${joined}`,
      );
    case 'observation':
      return answer(
        [
          conversation(`coalesce(s.${content}, t.${memory})`),
          't.created_at_epoch',
          't.type',
          exact('t.title'),
          exact('t.narrative'),
        ],
        `observations t ${joined}`,
      );
  }
}

interface RawFound {
  row: number;
  identity: string;
  state: string;
}

const toFound = (kind: RowKind, raw: RawFound): Found => ({
  kind,
  row: raw.row,
  identity: raw.identity,
  state: JSON.parse(raw.state) as Record<string, string>,
});

const STATEMENTS = new WeakMap<Database.Database, Map<string, Database.Statement<number[], RawFound>>>();

/** Prepares a query over a kind's memories once per connection, since preparing costs more than running it. */
function query(db: Database.Database, kind: RowKind, rest: string): Database.Statement<number[], RawFound> {
  const known = STATEMENTS.get(db) ?? new Map<string, Database.Statement<number[], RawFound>>();
  STATEMENTS.set(db, known);
  const name = `${kind} ${rest}`;
  let statement = known.get(name);
  if (statement === undefined) {
    statement = db.prepare<number[], RawFound>(`${select(db, kind)} ${rest}`);
    known.set(name, statement);
  }
  return statement;
}

/** Returns every memory of a database. Plain SQL, which shares nothing with the judged code. */
export function takeInventory(db: Database.Database): Found[] {
  return ROW_KINDS.flatMap((kind) =>
    query(db, kind, 'ORDER BY t.id')
      .all()
      .map((raw) => toFound(kind, raw)),
  );
}

/** Returns one row's memory. @throws Error when the row does not exist */
export function findRow(db: Database.Database, kind: RowKind, row: number): Found {
  const raw = query(db, kind, 'WHERE t.id = ?').get(row);
  if (raw === undefined) throw new Error(`there is no ${kind} ${row}`);
  return toFound(kind, raw);
}

/** The name prefix of sessions that Membridge makes for rows whose session a machine lacks, or does not take. */
export const MADE_UP = 'membridge-';
const MADE_UP_HEX = `X'${Buffer.from(MADE_UP).toString('hex').toUpperCase()}`;

/** Returns whether a memory belongs to a session that Membridge made: it has another name until the session arrives. */
export function isOfMadeUpSession(identity: string): boolean {
  return identity.includes(MADE_UP_HEX);
}

/** Returns how often each memory exists. */
export function countByIdentity(found: readonly Found[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { identity } of found) counts.set(identity, (counts.get(identity) ?? 0) + 1);
  return counts;
}

/** Returns an identity with readable text. */
export function readable(identity: string): string {
  return identity.replaceAll(/X'([0-9A-F]*)'/g, (_all, hex: string) =>
    Buffer.from(hex, 'hex').toString('utf8'),
  );
}
