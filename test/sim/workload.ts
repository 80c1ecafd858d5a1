import type { Dice } from './dice.ts';
import {
  columnsOf,
  CONVERSATION_MARK,
  findRow,
  MADE_UP,
  sessionColumns,
  TABLES,
  type RowKind,
} from './inventory.ts';
import type { Machine } from './machine.ts';
import type { Model } from './model.ts';
import { HAND_WRITES, People, listAlike, type HandWrite } from './people.ts';
import { ADOPTED, ADOPTED_INTO, isStaying, localName, PROJECTS, STAYING } from './projects.ts';

/** The actions of a machine's claude-mem, or of a person with its database. */
export const WRITES = [
  'session',
  'append',
  'resume',
  'twin',
  'orphan',
  'manual',
  'odd-text',
  'observer',
  'rewrite-memory-id',
  'update',
  'finish',
  'delete',
  'delete-session',
  ...HAND_WRITES,
] as const;
export type WriteKind = (typeof WRITES)[number];

const TYPES = ['discovery', 'bugfix', 'feature', 'refactor', 'change', 'decision'];

type Columns = Record<string, string | number | null | Buffer>;

/** The users of a fleet: they write memories with unique texts, and tell the model what they wrote. */
export class Workload {
  readonly #model: Model;
  /** Conversations that any machine may continue. */
  readonly #conversations: string[] = [];
  readonly #people: People;
  #written = 0;

  constructor(model: Model) {
    this.#model = model;
    this.#people = new People({
      model,
      ids: (machine, kind, where) => this.#ids(machine, kind, where),
      count: (machine, kind, identity) => this.#count(machine, kind, identity),
      insert: (machine, kind, row, stays) => this.#insert(machine, kind, row, stays),
      deleted: (machine, identity, isCleanUp) => this.#deleted(machine, identity, !isCleanUp, isCleanUp),
      hash: (dice) => this.#hash(dice),
      token: () => this.#token(),
    });
  }

  /**
   * Does one thing on one machine, in one transaction as claude-mem does it.
   * @throws SqliteError SQLITE_BUSY when another connection holds the lock
   */
  write(machine: Machine, kind: WriteKind, dice: Dice): void {
    // The switch has no effect within a transaction.
    if (kind === 'orphan') machine.worker.pragma('foreign_keys = OFF');
    try {
      machine.worker.transaction(() => this.#do(machine, kind, dice)).immediate();
    } finally {
      machine.worker.pragma('foreign_keys = ON');
    }
  }

  /** Writes a near twin of the row that comes first: the same one on every machine that has it. */
  twinOfFirst(machine: Machine, dice: Dice): void {
    machine.worker.transaction(() => this.#people.twinOfFirst(machine, dice)).immediate();
  }

  #do(machine: Machine, kind: WriteKind, dice: Dice): void {
    switch (kind) {
      case 'session':
        return this.#session(machine, dice, `chat-${this.#token()}`, this.#project(machine, dice));
      case 'append':
        return this.#append(machine, dice, 'plain');
      case 'odd-text':
        return this.#append(machine, dice, 'odd');
      case 'resume':
        if (this.#conversations.length === 0) return;
        return this.#resume(machine, dice, dice.pick(this.#conversations));
      case 'twin':
        return this.#twin(machine, dice);
      case 'orphan':
        return this.#orphan(machine, dice);
      case 'manual':
        return this.#manual(machine, dice);
      case 'observer':
        return this.#session(machine, dice, `watch-${this.#token()}`, this.#stayingProject(machine, dice));
      case 'rewrite-memory-id':
        return this.#rewriteMemoryId(machine, dice);
      case 'update':
        return this.#update(machine, dice);
      case 'finish':
        return this.#finish(machine, dice);
      case 'delete':
        return this.#delete(machine, dice);
      case 'delete-session':
        return this.#deleteSession(machine, dice);
      default:
        return this.#people.do(machine, kind satisfies HandWrite, dice);
    }
  }

  #project(machine: Machine, dice: Dice): string {
    return localName(dice.pick(PROJECTS), machine.hasNames);
  }

  /** Returns a project that must not leave. Rows are adopted only where their table has a column for it. */
  #stayingProject(machine: Machine, dice: Dice): string {
    const adopts = (['summary', 'observation'] as const).every((kind) =>
      machine.has(kind, 'merged_into_project'),
    );
    return adopts && dice.chance(0.2) ? ADOPTED : dice.pick(STAYING);
  }

  #session(machine: Machine, dice: Dice, content: string, project: string): void {
    const named = project === ADOPTED || dice.chance(0.8);
    const memory = named ? this.#memoryId(machine, content) : null;
    this.#insertSession(machine, dice, content, memory, project);
    if (!isStaying(project)) this.#conversations.push(content);
    for (let n = dice.between(0, 2); n > 0; n -= 1) this.#prompt(machine, dice, content, project, 'plain');
    // A session with nothing adopted yet belongs to its own project.
    for (let n = named ? dice.between(project === ADOPTED ? 1 : 0, 3) : 0; n > 0; n -= 1)
      this.#child(machine, dice, memory ?? '', project, 'plain');
  }

  #resume(machine: Machine, dice: Dice, content: string): void {
    const { content: column } = sessionColumns(machine.worker);
    const here = machine.worker.prepare(`SELECT project FROM sdk_sessions WHERE ${column} = ?`).get(content);
    const project = (here as { project: string } | undefined)?.project ?? this.#project(machine, dice);
    if (here === undefined)
      this.#insertSession(machine, dice, content, this.#memoryId(machine, content), project);
    this.#prompt(machine, dice, content, project, 'plain');
    const memory = this.#memoryOf(machine, content);
    if (memory !== null) this.#child(machine, dice, memory, project, 'plain');
  }

  #append(machine: Machine, dice: Dice, text: 'plain' | 'odd'): void {
    const { content, memory } = sessionColumns(machine.worker);
    // Nobody talks in a session that Membridge or another sync made.
    const sessions = machine.worker
      .prepare(
        `SELECT ${content} AS content, ${memory} AS memory, project FROM sdk_sessions
         WHERE ${memory} IS NOT NULL AND ${content} NOT LIKE '${MADE_UP}%' AND instr(${content}, '${CONVERSATION_MARK}') = 0 ORDER BY id`,
      )
      .all() as { content: string; memory: string; project: string }[];
    if (sessions.length === 0)
      return this.#session(machine, dice, `chat-${this.#token()}`, this.#project(machine, dice));
    const session = dice.pick(sessions);
    for (let n = dice.between(1, 3); n > 0; n -= 1) {
      if (dice.chance(0.3)) this.#prompt(machine, dice, session.content, session.project, text);
      else this.#child(machine, dice, session.memory, session.project, text);
    }
  }

  /** Writes the same row again, as claude-mem does when a hook runs twice: it still is a separate memory. */
  #twin(machine: Machine, dice: Dice): void {
    const kind = dice.pick(['prompt', 'summary', 'observation'] as const);
    const rows = this.#ids(machine, kind).filter(
      (id) =>
        !machine.orphans.has(`${TABLES[kind]}/${id}`) &&
        !machine.madeUp.has(findRow(machine.worker, kind, id).identity),
    );
    if (rows.length === 0) return;
    const db = machine.worker;
    const of = dice.pick(rows);
    const row = db.prepare(`SELECT * FROM ${TABLES[kind]} WHERE id = ?`).get(of) as Columns;
    const copy: Columns = { ...row };
    for (const local of ['id', 'origin_device_id', 'origin_local_id', 'synced_at']) delete copy[local];
    if ('content_hash' in copy) copy['content_hash'] = this.#hash(dice);
    const stays = isStaying(String(copy['project'] ?? '')) || this.#isStayingPrompt(machine, copy);
    this.#insert(machine, kind, copy, stays, true);
  }

  /** Writes a row without a session: claude-mem's bugs have left thousands of them. */
  #orphan(machine: Machine, dice: Dice): void {
    const db = machine.worker;
    const lost = `lost-${this.#token()}`;
    const { content, memory } = sessionColumns(db);
    const kind = dice.pick(['prompt', 'summary', 'observation'] as const);
    const row = this.#row(machine, dice, kind, 'plain');
    if (kind === 'prompt') row[content] = lost;
    else Object.assign(row, { [memory]: lost, project: this.#project(machine, dice) });
    const id = this.#insert(machine, kind, row, false);
    machine.orphans.add(`${TABLES[kind]}/${id}`);
    this.#model.stub(
      JSON.stringify(['session', 'claude', `X'${Buffer.from(lost).toString('hex').toUpperCase()}'`]),
    );
  }

  /** Writes what a person saved by hand: its session has the same names on every machine. */
  #manual(machine: Machine, dice: Dice): void {
    const project = this.#project(machine, dice);
    const name = `manual-${project}`;
    const { content } = sessionColumns(machine.worker);
    const here = machine.worker.prepare(`SELECT 1 FROM sdk_sessions WHERE ${content} = ?`).get(name);
    if (here === undefined) this.#insertSession(machine, dice, name, name, project);
    const memory = this.#memoryOf(machine, name);
    if (memory === null) return;
    // An upgrade gave old rows hashes that are equal on two machines and mean nothing.
    const hash = dice.chance(0.5) ? `__null_migration_${dice.between(1, 3)}__` : this.#hash(dice);
    const taken = machine.has('observation', 'content_hash')
      ? machine.worker.prepare('SELECT 1 FROM observations WHERE content_hash = ?').get(hash)
      : undefined;
    const row = this.#row(machine, dice, 'observation', 'plain');
    const { memory: column } = sessionColumns(machine.worker);
    Object.assign(row, {
      [column]: memory,
      project,
      content_hash: taken === undefined ? hash : this.#hash(dice),
    });
    this.#insert(machine, 'observation', row, false);
  }

  #rewriteMemoryId(machine: Machine, dice: Dice): void {
    const { content, memory } = sessionColumns(machine.worker);
    // An upgrade in place leaves summaries that do not follow.
    const cascades = ['observations', 'session_summaries'].every((table) =>
      (machine.worker.pragma(`foreign_key_list(${table})`) as { on_update: string }[]).every(
        ({ on_update: onUpdate }) => onUpdate === 'CASCADE',
      ),
    );
    // A session that another sync made is no conversation of this claude-mem.
    const own = `${memory} IS NOT NULL AND instr(${content}, '${CONVERSATION_MARK}') = 0`;
    const ids = cascades ? this.#ids(machine, 'session', own) : [];
    if (ids.length === 0) return;
    const id = dice.pick(ids);
    const name = machine.worker.prepare(`SELECT ${content} FROM sdk_sessions WHERE id = ?`).pluck().get(id);
    machine.worker
      .prepare(`UPDATE sdk_sessions SET ${memory} = ? WHERE id = ?`)
      .run(this.#memoryId(machine, String(name)), id);
  }

  #update(machine: Machine, dice: Dice): void {
    const [kind, column] = dice.pick([
      ['session', 'project'],
      ['session', 'custom_title'],
      ['session', 'user_prompt'],
      ['observation', 'project'],
      ['observation', 'merged_into_project'],
      ['observation', 'concepts'],
      ['summary', 'project'],
      ['summary', 'merged_into_project'],
    ] as const);
    if (!machine.has(kind, column)) return;
    // A session made for rows without one belongs to each machine: changes to it never travel.
    const ids = this.#ids(machine, kind).filter((id) => {
      const { identity } = findRow(machine.worker, kind, id);
      return !this.#model.isExcluded(identity) && (kind !== 'session' || !this.#model.isStub(identity));
    });
    if (ids.length === 0) return;
    const value =
      column === 'concepts'
        ? JSON.stringify([this.#token()])
        : column === 'project'
          ? this.#project(machine, dice)
          : dice.chance(0.2)
            ? null
            : this.#token();
    machine.worker
      .prepare(`UPDATE ${TABLES[kind]} SET ${column} = ? WHERE id = ?`)
      .run(value, dice.pick(ids));
  }

  #finish(machine: Machine, dice: Dice): void {
    const ids = this.#ids(machine, 'session', `status = 'active'`);
    if (ids.length === 0) return;
    const at = machine.now();
    machine.worker
      .prepare(`UPDATE sdk_sessions SET status = ?, completed_at = ?, completed_at_epoch = ? WHERE id = ?`)
      .run(dice.pick(['completed', 'failed']), new Date(at).toISOString(), at, dice.pick(ids));
  }

  #delete(machine: Machine, dice: Dice): void {
    const kind = dice.pick(['prompt', 'summary', 'observation'] as const);
    // With none of its rows left, a session would be its own project's.
    const ids = this.#ids(machine, kind, kind === 'prompt' ? '1' : `project <> '${ADOPTED}'`);
    if (ids.length === 0) return;
    const id = dice.pick(ids);
    const found = findRow(machine.worker, kind, id);
    // If a twin stays, nobody could say which of the two is meant to.
    if (this.#count(machine, kind, found.identity) > 1) return;
    this.#model.mayHaveKept(found.identity, listAlike(machine, kind, id));
    machine.worker.prepare(`DELETE FROM ${TABLES[kind]} WHERE id = ?`).run(id);
    this.#deleted(machine, found.identity);
  }

  #deleteSession(machine: Machine, dice: Dice): void {
    const ids = this.#ids(machine, 'session');
    if (ids.length === 0) return;
    const id = dice.pick(ids);
    const before = machine.memories();
    const like = new Map<string, string[]>();
    // Where another sync made the session up, rows of the same conversation stay in its own.
    if (this.#isMadeUp(machine, id)) {
      for (const { kind, row, identity } of before)
        if (kind !== 'session') like.set(identity, listAlike(machine, kind, row));
    }
    machine.worker.prepare('DELETE FROM sdk_sessions WHERE id = ?').run(id);
    const after = machine.counts();
    for (const identity of new Set(before.map((found) => found.identity))) {
      const left = after.get(identity) ?? 0;
      if (left > 0) {
        if (left < before.filter((found) => found.identity === identity).length)
          this.#model.deletedTwin(identity, left);
        continue;
      }
      this.#model.mayHaveKept(
        identity,
        (like.get(identity) ?? []).filter((other) => after.has(other)),
      );
      // Rows of peers keep a session alive that was deleted here.
      this.#deleted(machine, identity, !identity.startsWith('["session"'));
    }
  }

  /** Returns whether another sync made a session. */
  #isMadeUp(machine: Machine, id: number): boolean {
    const { content } = sessionColumns(machine.worker);
    const name = machine.worker.prepare(`SELECT ${content} FROM sdk_sessions WHERE id = ?`).pluck().get(id);
    return String(name).includes(CONVERSATION_MARK);
  }

  /** Records a deletion. It counts for the fleet when the machine's ledger knew the row; an unseen row leaves no trace. */
  #deleted(machine: Machine, identity: string, counts = true, isCleanUp = false): void {
    const isKnown =
      counts &&
      !machine.knowsNothing &&
      !machine.pending.has(identity) &&
      !machine.unnamed.has(identity) &&
      !machine.madeUp.has(identity);
    machine.pending.delete(identity);
    if (isKnown) machine.takenOut.add(identity);
    this.#model.deleted(identity, isKnown, isCleanUp);
  }

  #insertSession(
    machine: Machine,
    dice: Dice,
    content: string,
    memory: string | null,
    project: string,
  ): void {
    const columns = sessionColumns(machine.worker);
    const at = machine.now() - dice.below(3_600_000);
    const ended = dice.chance(0.7);
    const row: Columns = {
      [columns.content]: content,
      [columns.memory]: memory,
      project,
      user_prompt: dice.chance(0.8) ? `do ${this.#token()}` : null,
      started_at: new Date(at).toISOString(),
      started_at_epoch: at,
      completed_at: ended ? new Date(at + 600_000).toISOString() : null,
      completed_at_epoch: ended ? at + 600_000 : null,
      status: ended ? dice.pick(['completed', 'completed', 'failed']) : 'active',
      worker_port: 37_777,
      custom_title: dice.chance(0.3) ? this.#token() : null,
    };
    this.#insert(machine, 'session', row, isStaying(project));
  }

  #prompt(machine: Machine, dice: Dice, content: string, project: string, text: 'plain' | 'odd'): void {
    const columns = sessionColumns(machine.worker);
    const row = this.#row(machine, dice, 'prompt', text);
    row[columns.content] = content;
    const session = machine.worker
      .prepare(`SELECT id FROM sdk_sessions WHERE ${columns.content} = ?`)
      .get(content) as { id: number };
    row['session_db_id'] = session.id;
    this.#insert(machine, 'prompt', row, isStaying(project));
  }

  #child(machine: Machine, dice: Dice, memory: string, project: string, text: 'plain' | 'odd'): void {
    const kind = dice.chance(0.3) ? 'summary' : 'observation';
    const row = this.#row(machine, dice, kind, text);
    Object.assign(row, { [sessionColumns(machine.worker).memory]: memory, project });
    if (project === ADOPTED) row['merged_into_project'] = ADOPTED_INTO;
    this.#insert(machine, kind, row, isStaying(project));
  }

  /** Returns a row without its session, with a unique text. */
  #row(machine: Machine, dice: Dice, kind: Exclude<RowKind, 'session'>, text: 'plain' | 'odd'): Columns {
    const at = machine.now() + dice.below(1_000);
    const token = this.#token();
    // Lone surrogates, other bytes that are not UTF-8, NULs, and characters beyond the BMP: what tools print.
    const odd = dice.pick([
      Buffer.concat([Buffer.from(`${token} `), Buffer.from([0xed, 0xa0, 0x80, 0xff])]),
      Buffer.concat([Buffer.from(`${token} `), Buffer.from([0, 0x41, 0])]),
      Buffer.from(`${token} \u{1F600}\u2028\uFFFD\r\n"'\\`),
    ]);
    const said = text === 'odd' ? odd : `said ${token}`;
    const common: Columns = { prompt_number: dice.between(1, 5), created_at: new Date(at).toISOString() };
    common['created_at_epoch'] = at;
    if (kind === 'prompt') return { ...common, prompt_text: said };
    if (kind === 'summary') {
      const request = dice.chance(0.1) ? null : `asked ${token}`;
      return {
        ...common,
        request,
        investigated: 'all of it',
        learned: said,
        notes: null,
        discovery_tokens: 900,
      };
    }
    return {
      ...common,
      type: dice.pick(TYPES),
      title: dice.chance(0.2) ? null : `title ${token}`,
      subtitle: null,
      narrative: said,
      facts: JSON.stringify([token]),
      concepts: '["how-it-works"]',
      files_read: '[]',
      files_modified: '[]',
      discovery_tokens: 1_200,
      content_hash: this.#hash(dice),
    };
  }

  #insert(machine: Machine, kind: RowKind, row: Columns, stays: boolean, twin = false): number {
    const db = machine.worker;
    const known = columnsOf(db, TABLES[kind]);
    const columns = Object.keys(row).filter((column) => known.has(column));
    const values = columns.map((column) => row[column] ?? null);
    // Bound as bytes, stored as text: the only way to write text that is not UTF-8.
    const places = values.map((value) => (Buffer.isBuffer(value) ? 'CAST(? AS TEXT)' : '?')).join(', ');
    const sql = `INSERT INTO ${TABLES[kind]} (${columns.join(', ')}) VALUES (${places})`;
    const id = Number(db.prepare(sql).run(values).lastInsertRowid);
    const { identity } = findRow(db, kind, id);
    const count = twin ? (machine.counts().get(identity) ?? 1) : 1;
    machine.pending.set(identity, count);
    this.#model.wrote(identity, count, machine.node, stays);
    return id;
  }

  /** Returns how often a memory exists, with the copies of another sync: while one is left, the memory is not deleted. */
  #count(machine: Machine, kind: RowKind, identity: string): number {
    return rowIds(machine, kind).filter((id) => findRow(machine.worker, kind, id).identity === identity)
      .length;
  }

  /** Returns whether a prompt belongs to a session that stays; the link of older releases is the conversation's name. */
  #isStayingPrompt(machine: Machine, row: Columns): boolean {
    const { content } = sessionColumns(machine.worker);
    const [column, link] = 'session_db_id' in row ? ['id', row['session_db_id']] : [content, row[content]];
    const found = machine.worker
      .prepare(`SELECT project FROM sdk_sessions WHERE ${column} = ?`)
      .get(link ?? null);
    return isStaying((found as { project: string } | undefined)?.project ?? '');
  }

  #memoryOf(machine: Machine, content: string): string | null {
    const columns = sessionColumns(machine.worker);
    const found = machine.worker
      .prepare(`SELECT ${columns.memory} AS memory FROM sdk_sessions WHERE ${columns.content} = ?`)
      .get(content) as { memory: string | null } | undefined;
    return found?.memory ?? null;
  }

  /**
   * Returns rows of a kind. It leaves out the copies that another sync made of existing memories, and rows in
   * sessions that Membridge made: nobody has these conversations here.
   */
  #ids(machine: Machine, kind: RowKind, where = '1'): number[] {
    const { content, memory } = sessionColumns(machine.worker);
    const link = kind === 'session' || kind === 'prompt' ? content : memory;
    const madeUp = `SELECT ${link} FROM sdk_sessions WHERE ${content} LIKE '${MADE_UP}%'`;
    // Of a row without a session the link may be NULL.
    const ids = rowIds(machine, kind, `(${where}) AND coalesce(${link}, '') NOT IN (${madeUp})`);
    return machine.copies.size === 0 ? ids : ids.filter((id) => !machine.copies.has(`${TABLES[kind]}/${id}`));
  }

  #hash(dice: Dice): string {
    return dice.seed().toString(16).padStart(16, '0');
  }

  /** Returns a memory id that contains its conversation. */
  #memoryId(machine: Machine, content: string): string {
    const conversation = content.slice(content.lastIndexOf(CONVERSATION_MARK) + 1);
    return `mem-${machine.name}-${this.#token()}${CONVERSATION_MARK}${conversation}`;
  }

  #token(): string {
    this.#written += 1;
    return `w${this.#written}`;
  }
}

function rowIds({ worker }: Machine, kind: RowKind, where = '1'): number[] {
  return worker
    .prepare(`SELECT id FROM ${TABLES[kind]} WHERE ${where} ORDER BY id`)
    .pluck()
    .all() as number[];
}
