import type { Dice } from './dice.ts';
import { findRow, sessionColumns, TABLES, type RowKind } from './inventory.ts';
import type { Machine } from './machine.ts';
import type { Model } from './model.ts';
import { isStaying } from './projects.ts';

/** A person's manual changes to claude-mem's database. */
export const HAND_WRITES = ['edit', 'edit-many', 'near-twin', 'clean-up'] as const;
export type HandWrite = (typeof HAND_WRITES)[number];

type ChildKind = Exclude<RowKind, 'session'>;
type Columns = Record<string, string | number | null | Buffer>;

/** Functions of the workload: counting, inserting, and recording deletions. */
export interface Hands {
  readonly model: Model;
  ids(machine: Machine, kind: RowKind, where?: string): number[];
  count(machine: Machine, kind: RowKind, identity: string): number;
  insert(machine: Machine, kind: RowKind, row: Columns, stays: boolean): number;
  /** @param isCleanUp whether a like memory was kept: then it may be the one that stays, since another machine may have kept it */
  deleted(machine: Machine, identity: string, isCleanUp: boolean): void;
  hash(dice: Dice): string;
  token(): string;
}

const CHILDREN = ['prompt', 'summary', 'observation'] as const;

/** The column with the main text, and the one that names the memory. */
const TEXT: Readonly<Record<ChildKind, string>> = {
  prompt: 'prompt_text',
  summary: 'learned',
  observation: 'narrative',
};
const HEAD: Readonly<Record<ChildKind, string>> = {
  prompt: 'prompt_text',
  summary: 'request',
  observation: 'title',
};

/**
 * Returns what is like a row on its machine: it has the same text, the same title, or the same session. A person who
 * deletes the row may have kept that one.
 * @returns identities
 */
export function listAlike(machine: Machine, kind: ChildKind, id: number): string[] {
  const { content, memory } = sessionColumns(machine.worker);
  const columns = [TEXT[kind], HEAD[kind], kind === 'prompt' ? content : memory];
  const isLike = columns.map((column) => `other.${column} = this.${column}`).join(' OR ');
  const ids = machine.worker
    .prepare(
      `SELECT other.id FROM ${TABLES[kind]} this JOIN ${TABLES[kind]} other ON other.id <> this.id AND (${isLike})
       WHERE this.id = ?`,
    )
    .pluck()
    .all(id) as number[];
  return ids.map((other) => findRow(machine.worker, kind, other).identity);
}

/** Removes texts from rows, and cleans up duplicates. */
export class People {
  readonly #hands: Hands;

  constructor(hands: Hands) {
    this.#hands = hands;
  }

  do(machine: Machine, write: HandWrite, dice: Dice): void {
    const kind = dice.pick(CHILDREN);
    switch (write) {
      case 'edit': {
        const ids = this.#single(machine, kind);
        if (ids.length === 0) return;
        const place = dice.pick(['oldest', 'newest', 'third-newest', 'any'] as const);
        const at = { oldest: 0, newest: -1, 'third-newest': -3, any: dice.below(ids.length) }[place];
        const id = ids.at(at) ?? ids[0];
        if (id !== undefined) this.#edit(machine, kind, id);
        return;
      }
      case 'edit-many': {
        const part = dice.pick([0.3, 1]);
        for (const id of this.#single(machine, kind)) if (dice.chance(part)) this.#edit(machine, kind, id);
        return;
      }
      case 'near-twin':
        return this.#nearTwin(machine, kind, dice);
      case 'clean-up':
        return this.#cleanUp(machine, kind, dice);
    }
  }

  /** Makes a near twin of the row that comes first by its text: the same one on every machine that has it. */
  twinOfFirst(machine: Machine, dice: Dice): void {
    const kind = dice.pick(CHILDREN);
    const identityOf = (id: number): string => findRow(machine.worker, kind, id).identity;
    const [first] = this.#single(machine, kind).sort((a, b) => (identityOf(a) < identityOf(b) ? -1 : 1));
    if (first !== undefined) this.#insertTwin(machine, kind, first, dice);
  }

  /**
   * Returns rows that exist once and may travel: for twins nobody could say which one is meant. Nor may they be in a
   * session that another sync made: claude-mem writes nothing there.
   */
  #single(machine: Machine, kind: ChildKind): number[] {
    return this.#hands.ids(machine, kind).filter((id) => {
      if (machine.orphans.has(`${TABLES[kind]}/${id}`)) return false;
      const { identity } = findRow(machine.worker, kind, id);
      if (machine.madeUp.has(identity)) return false;
      return !this.#hands.model.isExcluded(identity) && this.#hands.count(machine, kind, identity) === 1;
    });
  }

  #edit(machine: Machine, kind: ChildKind, id: number): void {
    const { identity: before } = findRow(machine.worker, kind, id);
    machine.worker
      .prepare(`UPDATE ${TABLES[kind]} SET ${TEXT[kind]} = ? WHERE id = ?`)
      .run(`taken out ${this.#hands.token()}`, id);
    this.#hands.deleted(machine, before, false);
    const { identity } = findRow(machine.worker, kind, id);
    machine.pending.set(identity, 1);
    this.#hands.model.wrote(identity, 1, machine.node, false);
    this.#hands.model.edited(before, identity);
  }

  /**
   * Writes the same memory with another time and, except for prompts, with another text: what two hooks make of one
   * event.
   */
  #nearTwin(machine: Machine, kind: ChildKind, dice: Dice): void {
    const ids = this.#single(machine, kind);
    if (ids.length === 0) return;
    this.#insertTwin(machine, kind, dice.pick(ids), dice);
  }

  #insertTwin(machine: Machine, kind: ChildKind, of: number, dice: Dice): void {
    const row = machine.worker.prepare(`SELECT * FROM ${TABLES[kind]} WHERE id = ?`).get(of) as Columns;
    if (isStaying(String(row['project'] ?? ''))) return;
    const copy: Columns = {
      ...row,
      created_at_epoch: Number(row['created_at_epoch']) + dice.between(1, 5_000),
    };
    for (const local of ['id', 'origin_device_id', 'origin_local_id', 'synced_at']) delete copy[local];
    if ('content_hash' in copy) copy['content_hash'] = this.#hands.hash(dice);
    if (kind !== 'prompt') copy[TEXT[kind]] = `said ${this.#hands.token()}`;
    this.#hands.insert(machine, kind, copy, false);
  }

  /** Keeps one of the rows that are alike by some rule. */
  #cleanUp(machine: Machine, kind: ChildKind, dice: Dice): void {
    const db = machine.worker;
    const { memory } = sessionColumns(db);
    const rule = kind === 'prompt' || dice.chance(0.7) ? HEAD[kind] : memory;
    const single = new Set(this.#single(machine, kind));
    const alike = new Map<string, number[]>();
    for (const id of this.#hands.ids(machine, kind)) {
      const value = db
        .prepare(`SELECT quote(CAST(${rule} AS BLOB)) FROM ${TABLES[kind]} WHERE id = ?`)
        .pluck()
        .get(id);
      if (value === 'NULL') continue;
      alike.set(String(value), [...(alike.get(String(value)) ?? []), id]);
    }
    const keepsNewest = dice.chance(0.5);
    for (const all of alike.values()) {
      const ids = all.filter((id) => single.has(id));
      if (ids.length < 2) continue;
      const kept = keepsNewest ? ids.at(-1) : ids[0];
      const identities = ids.map((id) => findRow(db, kind, id).identity);
      // True twins are alike as well, and are left alone.
      this.#hands.model.cleanedUp(all.map((id) => findRow(db, kind, id).identity));
      ids.forEach((id, index) => {
        if (id === kept) return;
        db.prepare(`DELETE FROM ${TABLES[kind]} WHERE id = ?`).run(id);
        this.#hands.deleted(machine, identities[index] ?? '', true);
      });
    }
  }
}
