import Database from 'better-sqlite3';

/** Ends a simulated process: thrown from whatever it was doing. */
export class Crash extends Error {
  constructor() {
    super('the simulated process was killed');
    this.name = 'Crash';
  }
}

/** Which of a process's two files an injected SQLITE_FULL hits. */
export type FullFile = 'ledger.db' | 'claude-mem.db';

/** Above any page number that SQLite allows: PRAGMA max_page_count without a limit. */
const NO_LIMIT = 4_294_967_294;

/**
 * The process in which a simulated machine's engine runs. It counts every effect of the engine on the world, dies at
 * a chosen one, and then has no further effect. The SQLite files are real, so SQLite itself decides what an
 * uncommitted transaction leaves.
 */
export class SimProcess {
  readonly folder: string;
  readonly #handles = new Set<Database.Database>();
  #steps = 0;
  #dieAt = Number.POSITIVE_INFINITY;
  #dead = false;
  #full: FullFile | null = null;
  /** Whether the simulation itself uses the process's connections. */
  #aside = false;

  /** @param folder every SQLite file that the process opens lies in it */
  constructor(folder: string) {
    this.folder = folder;
    PROCESSES.set(`${folder}/`, this);
  }

  /** Returns the steps since the count was last reset: store calls and SQL statements. */
  get steps(): number {
    return this.#steps;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** Makes the process die at its nth step from now, or not at all. */
  dieAfter(steps: number | null): void {
    this.#steps = 0;
    this.#dieAt = steps ?? Number.POSITIVE_INFINITY;
  }

  /** Counts a step. @throws Crash when the process dies here, or is dead */
  step(): void {
    if (this.#aside) return;
    if (this.#dead) throw new Crash();
    this.#steps += 1;
    if (this.#steps < this.#dieAt) return;
    this.#dead = true;
    throw new Crash();
  }

  /** Leaves no room for one of its files to grow; null frees it again. */
  setFull(file: FullFile | null): void {
    if (this.#full === file) return;
    this.#full = file;
    for (const db of this.#handles) {
      if (!db.open) this.#handles.delete(db);
      else if (!db.readonly) this.#pragmas(db, `max_page_count = ${this.#limitOf(db)}`);
    }
  }

  /** A connection that the process uses; the busy timeout is the real one's, without its 5 seconds of waiting. */
  register(db: Database.Database): void {
    if (this.#handles.has(db)) return;
    this.#handles.add(db);
    this.#pragmas(db, 'busy_timeout = 0');
    if (this.#full !== null && !db.readonly) this.#pragmas(db, `max_page_count = ${this.#limitOf(db)}`);
  }

  /** Releases a dead process's files and locks, as the kernel does; nothing is committed. */
  bury(): void {
    for (const db of this.#handles) if (db.open) db.close();
    this.#handles.clear();
    this.#dead = false;
    this.dieAfter(null);
  }

  #limitOf(db: Database.Database): number {
    // SQLite takes the size that a file has for the least limit.
    return this.#full !== null && db.name.endsWith(this.#full) ? 1 : NO_LIMIT;
  }

  #pragmas(db: Database.Database, pragma: string): void {
    this.#aside = true;
    try {
      db.pragma(pragma);
    } finally {
      this.#aside = false;
    }
  }
}

const PROCESSES = new Map<string, SimProcess>();
const OWNERS = new WeakMap<Database.Database, SimProcess | 'outside'>();

/** Stops watching processes whose folders are gone. */
export function forgetProcesses(): void {
  PROCESSES.clear();
}

/**
 * Opens a database on behalf of another program (claude-mem's worker, a person), which the simulated process does not
 * count.
 */
export function openOutside(path: string): Database.Database {
  const db = new Database(path, { timeout: 0 });
  OWNERS.set(db, 'outside');
  return db;
}

function ownerOf(db: Database.Database): SimProcess | null {
  const known = OWNERS.get(db);
  if (known !== undefined) return known === 'outside' ? null : known;
  for (const [folder, process] of PROCESSES) {
    if (!db.name.startsWith(folder)) continue;
    OWNERS.set(db, process);
    process.register(db);
    return process;
  }
  return null;
}

type Method = (this: { database: Database.Database }, ...args: unknown[]) => unknown;

/**
 * Makes every SQL statement of a simulated process count as one of its steps. BEGIN, COMMIT and ROLLBACK are
 * statements too, so that a process can die between any two of them. Call it once per program. Tests of the real
 * engine do not load this file.
 */
function watchStatements(): void {
  const memory = new Database(':memory:');
  const statements = Object.getPrototypeOf(memory.prepare('SELECT 1')) as Record<string, Method>;
  memory.close();
  for (const name of ['run', 'get', 'all', 'iterate']) {
    const original = statements[name];
    if (original === undefined) throw new Error(`better-sqlite3 has no Statement.${name}`);
    statements[name] = function watched(...args) {
      ownerOf(this.database)?.step();
      return original.apply(this, args);
    };
  }
  const prototype = Database.prototype as unknown as Record<
    string,
    (this: Database.Database, sql: string) => unknown
  >;
  for (const name of ['exec', 'prepare']) {
    const original = prototype[name];
    if (original === undefined) throw new Error(`better-sqlite3 has no Database.${name}`);
    prototype[name] = function watched(sql) {
      const owner = ownerOf(this);
      if (name === 'exec') owner?.step();
      else if (owner?.isDead === true) throw new Crash();
      return original.call(this, sql);
    };
  }
}
watchStatements();
