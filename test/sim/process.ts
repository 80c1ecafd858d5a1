import Database from 'better-sqlite3';

/** What ends a simulated process: thrown out of whatever it was doing. */
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
 * The process that a simulated machine's engine runs in: it counts everything that the engine does to the world, dies at
 * a chosen one, and from then on does nothing more. The SQLite files are real; what an uncommitted transaction leaves
 * behind is what SQLite makes of it.
 */
export class SimProcess {
  readonly folder: string;
  readonly #handles = new Set<Database.Database>();
  #steps = 0;
  #dieAt = Number.POSITIVE_INFINITY;
  #dead = false;
  #full: FullFile | null = null;
  /** The simulation itself is at work on the process's connections. */
  #aside = false;

  /** @param folder every SQLite file that the process opens lies in it */
  constructor(folder: string) {
    this.folder = folder;
    PROCESSES.set(`${folder}/`, this);
  }

  /** Steps since the count was last set: store calls and SQL statements. */
  get steps(): number {
    return this.#steps;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** Has the process die at its n-th step from now, or not at all. */
  dieAfter(steps: number | null): void {
    this.#steps = 0;
    this.#dieAt = steps ?? Number.POSITIVE_INFINITY;
  }

  /** Notes a step. @throws Crash when the process dies here, or is dead */
  step(): void {
    if (this.#aside) return;
    if (this.#dead) throw new Crash();
    this.#steps += 1;
    if (this.#steps < this.#dieAt) return;
    this.#dead = true;
    throw new Crash();
  }

  /** Leaves no room for one of its files to grow; null gives it back. */
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

  /** Gives a dead process's files and locks back, as the kernel does; nothing is committed. */
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

/** Ends the watch over processes whose folders are gone. */
export function forgetProcesses(): void {
  PROCESSES.clear();
}

/** Opens a database on behalf of another program (claude-mem's worker, a person): no simulated process's business. */
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
 * Has every SQL statement of a simulated process count as a step of it. BEGIN, COMMIT and ROLLBACK are statements too,
 * so that a process dies between any two of them. Once a program is enough; tests of the real thing do not load this file.
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
