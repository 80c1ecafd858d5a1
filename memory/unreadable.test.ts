import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { constants } from 'node:os';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { MembridgeError } from '../contract/errors.ts';
import { writeHistory } from '../fixtures/claude-mem/history.ts';
import { toMembridgeError } from './claude-mem/open.ts';
import { CALL, newFleet, type TestFleet, type TestNode } from '../test/memory/nodes.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
/** The user "nobody", who may not read what root may. */
const NOBODY = 65_534;

/**
 * Every result code of SQLite, primary and extended, from https://sqlite.org/rescode.html; OK, ROW and DONE
 * are not errors.
 */
const EXTENDED: Readonly<Record<string, string>> = {
  ABORT: 'ROLLBACK',
  AUTH: 'USER',
  BUSY: 'RECOVERY SNAPSHOT TIMEOUT',
  CANTOPEN: 'CONVPATH DIRTYWAL FULLPATH ISDIR NOTEMPDIR SYMLINK',
  CONSTRAINT:
    'CHECK COMMITHOOK DATATYPE FOREIGNKEY FUNCTION NOTNULL PINNED PRIMARYKEY ROWID TRIGGER UNIQUE VTAB',
  CORRUPT: 'INDEX SEQUENCE VTAB',
  EMPTY: '',
  ERROR: 'MISSING_COLLSEQ RETRY SNAPSHOT RESERVESIZE KEY UNABLE',
  FORMAT: '',
  FULL: '',
  INTERNAL: '',
  INTERRUPT: '',
  IOERR:
    'ACCESS AUTH BEGIN_ATOMIC BLOCKED CHECKRESERVEDLOCK CLOSE COMMIT_ATOMIC CONVPATH CORRUPTFS DATA DELETE DELETE_NOENT DIR_CLOSE DIR_FSYNC FSTAT FSYNC GETTEMPPATH IN_PAGE LOCK MMAP NOMEM RDLOCK READ ROLLBACK_ATOMIC SEEK SHMLOCK SHMMAP SHMOPEN SHMSIZE SHORT_READ TRUNCATE UNLOCK VNODE WRITE BADKEY CODEC',
  LOCKED: 'SHAREDCACHE VTAB',
  MISMATCH: '',
  MISUSE: '',
  NOLFS: '',
  NOMEM: '',
  NOTADB: '',
  NOTFOUND: '',
  NOTICE: 'RECOVER_ROLLBACK RECOVER_WAL RBU',
  OK: 'LOAD_PERMANENTLY SYMLINK',
  PERM: '',
  PROTOCOL: '',
  RANGE: '',
  READONLY: 'CANTINIT CANTLOCK DBMOVED DIRECTORY RECOVERY ROLLBACK',
  SCHEMA: '',
  TOOBIG: '',
  WARNING: 'AUTOINDEX',
};
const CODES = Object.entries(EXTENDED).flatMap(([primary, rest]) => [
  `SQLITE_${primary}`,
  ...rest.split(' ').flatMap((each) => (each === '' ? [] : [`SQLITE_${primary}_${each}`])),
]);

const CALLS = [
  'stat',
  'lstat',
  'open',
  'realpath',
  'read',
  'mkdir',
  'rename',
  'fdatasync',
  'copyfile',
  'unlink',
];

describe('every failure of a file', () => {
  const own = { ledgerPath: '/data/ledger.db', lockDirectory: '/state/locks' };

  test.each([...CODES, 'UNKNOWN_SQLITE_ERROR_9999'])('gives %s a name and a sentence', (code) => {
    const raw = new Database.SqliteError('disk I/O error', code);
    for (const meaning of [
      toMembridgeError('/home/me/claude-mem.db', raw),
      toMembridgeError('/x.db', raw, own),
    ]) {
      expect(meaning).toBeInstanceOf(MembridgeError);
      const { code: name, message } = meaning as MembridgeError;
      expect(name).not.toBe('internal');
      expect(message).toMatch(/\.db\b.*[a-z].*\.$/s);
    }
  });

  it('names a system error of any code, for any call', () => {
    for (const code of Object.keys(constants.errno)) {
      for (const syscall of CALLS) {
        for (const path of ['/home/me/claude-mem.db', '/data/ledger.db-wal', '/state/locks']) {
          const raw = Object.assign(new Error(`${code}: it failed, ${syscall} '${path}'`), {
            code,
            syscall,
            path,
          });
          const meaning = toMembridgeError('/home/me/claude-mem.db', raw, own);
          expect(meaning, `${code} of ${syscall}`).toBeInstanceOf(MembridgeError);
          const { code: name, message } = meaning as MembridgeError;
          expect(message).toContain(path.replace('-wal', ''));
          const isOurs = path.startsWith('/data') || path.startsWith('/state');
          if (code === 'ENOSPC' || code === 'EDQUOT') expect(name).toBe('disk_full');
          else expect(name.startsWith(isOurs ? 'ledger_' : 'memory_')).toBe(true);
        }
      }
    }
  });

  it('distinguishes a damaged search index from a damaged database', () => {
    const raw = new Database.SqliteError(
      'fts5: checksum mismatch for table "user_prompts_fts"',
      'SQLITE_CORRUPT_VTAB',
    );
    const { code, message } = toMembridgeError('/claude-mem.db', raw) as MembridgeError;
    expect(code).toBe('memory_index_damaged');
    expect(message).toContain(`INSERT INTO user_prompts_fts(user_prompts_fts) VALUES('rebuild')`);
    expect(message).not.toMatch(/restore/);
  });

  it('leaves errors of other kinds as they are', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
    for (const error of [refused, new TypeError('a bug'), 'text', null]) {
      expect(toMembridgeError('/claude-mem.db', error, own)).toBe(error);
    }
  });
});

describe('a memory engine', () => {
  let fleet: TestFleet;
  beforeEach(async () => {
    fleet = await newFleet();
  });
  afterEach(() => fleet.close());

  async function codesOf({ engine }: TestNode): Promise<string[]> {
    const works = [
      () => engine.push(fleet.space, CALL),
      () => engine.pull(fleet.space, false, CALL),
      () => engine.notice([fleet.space], CALL.signal),
      () => engine.audit(CALL, { deep: true }),
    ];
    const codes: string[] = [];
    for (const work of works) {
      try {
        await work();
        codes.push('no error');
      } catch (error) {
        codes.push(error instanceof MembridgeError ? error.code : `raw: ${String(error)}`);
      }
    }
    return codes;
  }

  /** Expects every call to fail with this code, and the status to give the reason and the path. */
  async function expectNamed(node: TestNode, code: string, state: string, words: RegExp): Promise<void> {
    expect(await codesOf(node)).toEqual([code, code, code, code]);
    const status = await node.engine.status();
    expect(status.state).toBe(state);
    expect(status.detail).toMatch(words);
    expect(status.detail).toContain(node.options.databasePath);
  }

  it('names a folder in place of the database', async () => {
    const path = join(fleet.folder, 'folder');
    mkdirSync(path);
    const a = fleet.add('a', '13.25.3', { databasePath: path });
    await expectNamed(a, 'memory_unreadable', 'unreadable', /is a folder, not a database file/);
  });

  it('names a socket in place of the database', async () => {
    const path = join(fleet.folder, 'socket');
    const server = createServer().listen(path);
    await new Promise((resolve) => server.once('listening', resolve));
    const a = fleet.add('a', '13.25.3', { databasePath: path });
    await expectNamed(a, 'memory_unreadable', 'unreadable', /is a socket/);
    server.close();
  });

  it('names a named pipe in place of the database, without waiting for it', async () => {
    const path = join(fleet.folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const a = fleet.add('a', '13.25.3', { databasePath: path });
    await expectNamed(a, 'memory_unreadable', 'unreadable', /is a named pipe/);
  });

  it('names a symbolic link that points to itself', async () => {
    const path = join(fleet.folder, 'loop');
    symlinkSync(path, path);
    const a = fleet.add('a', '13.25.3', { databasePath: path });
    const [code] = await codesOf(a);
    expect(code).toMatch(/^memory_(unreadable|missing)$/);
    expect((await a.engine.status()).detail).toContain(path);
  });

  it('names a file in place of a folder in the database’s path', async () => {
    const file = join(fleet.folder, 'file');
    writeFileSync(file, '');
    const a = fleet.add('a', '13.25.3', { databasePath: join(file, 'claude-mem.db') });
    await expectNamed(a, 'memory_missing', 'missing', /There is no claude-mem database/);
  });

  it('names a folder in place of the ledger, of the lock directory, and of a write-ahead log', async () => {
    const ledgerPath = join(fleet.folder, 'ledger-folder');
    mkdirSync(ledgerPath);
    const a = fleet.add('a', '13.25.3', { ledgerPath });
    expect(await codesOf(a)).toEqual(Array.from({ length: 4 }, () => 'ledger_failed'));
    expect(await a.engine.status()).toMatchObject({
      state: 'failing',
      detail: expect.stringContaining(ledgerPath),
    });

    const lockDirectory = join(fleet.folder, 'lock-file');
    writeFileSync(lockDirectory, '');
    const b = fleet.add('b', '13.25.3', { lockDirectory });
    expect(await codesOf(b)).toEqual(Array.from({ length: 4 }, () => 'ledger_failed'));
    expect((await b.engine.status()).detail).toContain(lockDirectory);

    const c = fleet.add('c', '13.25.3');
    c.db.close();
    rmSync(`${c.path}-wal`, { force: true });
    mkdirSync(`${c.path}-wal`);
    expect(new Set(await codesOf(c))).toEqual(new Set(['memory_unreadable']));
    expect((await c.engine.status()).state).toBe('unreadable');
  });

  interface Once {
    readonly pulled: { code?: string; message?: string; raw?: string } | string;
    readonly status: { state: string; detail: string | null };
  }

  /**
   * Pulls and reads the status in a separate process.
   * @param shell prefix that the process runs under, as for `sh -c`
   */
  function once(node: TestNode, options: { uid?: number; shell?: string; databasePath?: string }): Once {
    const { store: _store, identity, ...paths } = node.options;
    const job = {
      ...paths,
      ...(options.databasePath === undefined ? {} : { databasePath: options.databasePath }),
      identity: {
        ...identity,
        key: identity.key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        controlPublicKey: identity.controlPublicKey,
      },
      access: fleet.access,
      space: fleet.space,
      uid: process.getuid?.() === 0 ? (options.uid ?? null) : null,
    };
    const script = join(import.meta.dirname, '..', 'test', 'memory', 'status-once.ts');
    const run = spawnSync('sh', ['-c', `${options.shell ?? ''} exec "$0" "$1"`, process.execPath, script], {
      env: { ...process.env, STATUS_JOB: JSON.stringify(job) },
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    return JSON.parse(run.stdout) as Once;
  }

  /** Gives every file of a node to nobody, so that only the tested restriction applies. */
  function give(node: TestNode): void {
    chmodSync(fleet.folder, 0o755);
    mkdirSync(node.options.lockDirectory, { recursive: true });
    mkdirSync(join(fleet.folder, 'data'), { recursive: true });
    if (process.getuid?.() !== 0) return;
    for (const path of [
      fleet.folder,
      node.path,
      `${node.path}-wal`,
      `${node.path}-shm`,
      join(node.path, '..'),
    ]) {
      if (existsSync(path)) chownSync(path, NOBODY, NOBODY);
    }
    chownSync(node.options.lockDirectory, NOBODY, NOBODY);
    chownSync(join(fleet.folder, 'data'), NOBODY, NOBODY);
  }

  test.each([
    ['the database may not be read', (path: string) => chmodSync(path, 0o000), /claude-mem\.db/],
    ['its folder may not be entered', (path: string) => chmodSync(join(path, '..'), 0o000), /claude-mem\.db/],
    [
      'its write-ahead log may not be read',
      (path: string) => chmodSync(`${path}-wal`, 0o000),
      /-wal|claude-mem\.db/,
    ],
    [
      'its shared memory may not be read',
      (path: string) => chmodSync(`${path}-shm`, 0o000),
      /-shm|claude-mem\.db/,
    ],
    [
      'database, log and shared memory may not be written',
      (path: string) => {
        for (const each of [path, `${path}-wal`, `${path}-shm`]) chmodSync(each, 0o444);
        chmodSync(join(path, '..'), 0o555);
      },
      /may not (read and )?write/,
    ],
  ])('names the user and the missing permission when %s', async (_title, forbid, words) => {
    const [a, b] = [
      fleet.add('a', '13.25.3'),
      fleet.add('b', '13.25.3', { ledgerPath: join(fleet.folder, 'data', 'ledger.db') }),
    ];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    writeHistory(b.db, { name: 'beta', seed: 2, observations: 12, from: JANUARY });
    give(b);
    forbid(b.path);
    const { pulled, status } = once(b, { uid: NOBODY });
    chmodSync(join(b.path, '..'), 0o755);
    expect(pulled).toMatchObject({ code: 'memory_unreadable', message: expect.stringMatching(words) });
    expect(['unreadable', 'failing']).toContain(status.state);
    expect(status.detail).toMatch(words);
  });

  it('reports a full disk or a file size limit, and names the file', async () => {
    const [a, b] = [fleet.add('a', '13.25.3'), fleet.add('b', '13.25.3')];
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 600, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    // In units of 512 bytes: ledger and database are below the limit, and the data to merge is above it.
    const limited = once(b, { shell: 'ulimit -f 2000;' });
    expect(limited.pulled).toMatchObject({
      code: expect.stringMatching(/^(memory_unreadable|ledger_failed|disk_full)$/),
    });
    expect(limited.status).toMatchObject({ state: 'failing', detail: expect.stringContaining('ulimit -f') });

    const disk = join(fleet.folder, 'disk');
    mkdirSync(disk);
    // A file system that only this process sees; where mounting is not allowed, the limit above is the only
    // test.
    const mayMount = spawnSync('unshare', ['-rm', 'true']).status === 0;
    if (!mayMount) return;
    const copy = `cp ${realpathSync(b.path)}* ${disk}/ && sync`;
    const inside = `mount -t tmpfs -o size=1500k none ${disk} && ${copy};`;
    const full = once(b, {
      shell: `if [ -z "$IN" ]; then IN=1 exec unshare -rm sh -c '${inside} exec "$0" "$1"' "$0" "$1"; fi;`,
      databasePath: join(disk, 'claude-mem.db'),
    });
    expect(full.pulled).toMatchObject({ code: 'disk_full', message: expect.stringContaining(disk) });
    expect(full.status).toMatchObject({ state: 'failing', detail: expect.stringContaining('full') });
  });

  it('returns a status after any change of its files between two calls', async () => {
    const a = fleet.add('a', '13.25.3');
    writeHistory(a.db, { name: 'alpha', seed: 1, observations: 12, from: JANUARY });
    await a.engine.push(fleet.space, CALL);
    await a.engine.pull(fleet.space, false, CALL);
    expect((await a.engine.status()).state).toBe('ready');
    a.db.close();
    const happenings: (() => void)[] = [
      () => rmSync(a.path),
      () => mkdirSync(a.path),
      () => {
        rmSync(a.path, { recursive: true });
        symlinkSync(a.path, a.path);
      },
      () => {
        rmSync(a.path);
        for (const each of ['-wal', '-shm']) rmSync(`${a.path}${each}`, { force: true });
        writeFileSync(a.path, 'no database'.repeat(1_000));
      },
      () => rmSync(a.options.ledgerPath),
      () => rmSync(join(a.path, '..'), { recursive: true }),
      () => writeFileSync(join(a.path, '..'), 'a file in place of the folder'),
    ];
    for (const [index, happen] of happenings.entries()) {
      happen();
      const status = await a.engine.status();
      expect(status.state, `after ${index}`).not.toBe('ready');
      expect(status.detail).not.toBe('');
    }
  });
});
