import { accessSync, constants, statSync, statfsSync, type Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { MembridgeError, errorMessage, type ErrorCode } from '../../contract/errors.ts';
import { damagedIndexError, explainByIndexDamage } from './search-index.ts';

/** The worker itself waits this long for the lock (claude-mem's own busy_timeout, in milliseconds). */
export const BUSY_TIMEOUT_MS = 5_000;

/** A file system with less free space than this counts as full, in bytes: SQLite extends its files by 32 KiB at a time. */
const FULL_BELOW_BYTES = 1_000_000;

/** Files of ours that a memory engine uses beside claude-mem's database. */
export interface OwnFiles {
  readonly ledgerPath: string;
  readonly lockDirectory: string;
}

/** The file that failed: its name in a sentence, its path, and the error code for damage. */
interface FailedFile {
  readonly path: string;
  readonly isOurs: boolean;
}

/**
 * Translates a file failure into a MembridgeError with a code and a sentence: what happened, to which file,
 * what to do. Covers all SQLite errors and all system errors of file calls. Other errors pass unchanged.
 * @param path claude-mem's database
 * @param own our own files, when the work uses them too: SQLite does not say which file failed
 */
export function toMembridgeError(path: string, error: unknown, own?: OwnFiles): unknown {
  if (error instanceof MembridgeError) return error;
  if (error instanceof Database.SqliteError) return fromSqliteError(failedFileOf(error, path, own), error);
  if (isFileError(error)) return fromSystemError(failedFileOf(error, path, own), error);
  return error;
}

/**
 * Like toMembridgeError, and also looks for a damaged search index as the cause of the error. No connection
 * of the caller may hold a transaction.
 */
export function explainError(path: string, error: unknown, own: OwnFiles): unknown {
  if (error instanceof Database.SqliteError && !failedFileOf(error, path, own).isOurs) {
    const damage = explainByIndexDamage(path, error);
    if (damage !== null) return damage;
  }
  return toMembridgeError(path, error, own);
}

/**
 * Throws when SQLite could open no file at a path. SQLite itself would report "disk I/O error" for a folder,
 * and wait forever on a named pipe.
 * @throws MembridgeError memory_missing, memory_unreadable
 */
export function requireFile(path: string): void {
  let found: Stats;
  try {
    found = statSync(path);
  } catch (error) {
    throw toMembridgeError(path, error);
  }
  if (found.isFile()) return;
  const kind = found.isDirectory()
    ? 'a folder'
    : found.isSocket()
      ? 'a socket'
      : found.isFIFO()
        ? 'a named pipe'
        : 'a device';
  throw new MembridgeError(
    'memory_unreadable',
    `${path} is ${kind}, not a database file. Set CLAUDE_MEM_DB to claude-mem's database file, usually ~/.claude-mem/claude-mem.db.`,
  );
}

/**
 * Returns the file that an error is about. A system error names its path. better-sqlite3 names none, so the
 * throwing code decides: only memory/ledger/ uses the ledger's connection.
 */
function failedFileOf(
  error: Error & { path?: unknown },
  database: string,
  own: OwnFiles | undefined,
): FailedFile {
  const claudeMem = { path: database, isOurs: false };
  if (own === undefined) return claudeMem;
  if (typeof error.path === 'string') {
    const isOurs = [own.lockDirectory, dirname(own.ledgerPath)].some(
      (folder) => error.path === folder || String(error.path).startsWith(`${folder}/`),
    );
    return isOurs && !error.path.startsWith(database) ? { path: error.path, isOurs } : claudeMem;
  }
  const caller = (error.stack ?? '')
    .split('\n')
    .find((line) => /^\s+at /.test(line) && !line.includes('better-sqlite3') && !line.includes('node:'));
  if (caller?.includes('lockDatabase') === true) return { path: own.lockDirectory, isOurs: true };
  return caller !== undefined && /[\\/]memory[\\/]ledger[\\/]/.test(caller)
    ? { path: own.ledgerPath, isOurs: true }
    : claudeMem;
}

function fromSqliteError(
  { path, isOurs }: FailedFile,
  error: InstanceType<typeof Database.SqliteError>,
): MembridgeError {
  const { code } = error;
  const reason = `${errorMessage(error)} (${code})`;
  const as = (name: ErrorCode, message: string): MembridgeError =>
    new MembridgeError(name, message, { cause: error });
  const unusable: ErrorCode = isOurs ? 'ledger_failed' : 'memory_unreadable';

  if (code === 'SQLITE_FULL' || (WRITE_CODES.has(code) && isFull(path))) return diskFullError(path, error);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return as(
      'memory_locked',
      `${path} stayed locked by another program for ${BUSY_TIMEOUT_MS / 1_000} s; the sync tries again.`,
    );
  }
  if (code === 'SQLITE_READONLY_DBMOVED') {
    return as('memory_locked', `${path} was just moved or replaced by another file; the sync tries again.`);
  }
  if (LOCKING_CODES.has(code)) {
    return as(
      unusable,
      `${path} cannot be locked or shared between programs: ${reason}. Network file systems (NFS, SMB) often cannot. Move the file to a local disk.`,
    );
  }
  if (code === 'SQLITE_CORRUPT_VTAB' && !isOurs) return damagedIndexError(path, [], error);
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return isOurs
      ? as(
          'ledger_failed',
          `The sync ledger ${path} is damaged: ${reason}. Stop the agent and delete the file: the next sync makes a new one and loses nothing.`,
        )
      : as(
          'memory_corrupt',
          `${path} is damaged: ${reason}. Membridge left it untouched. Check it with "PRAGMA integrity_check" and restore it before the next sync.`,
        );
  }
  if (/^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(code)) {
    return as(unusable, `${path} cannot be opened or written: ${reason}. ${accessAdvice(path)}`);
  }
  if (code.startsWith('SQLITE_IOERR') && code !== 'SQLITE_IOERR_NOMEM') {
    return as(
      unusable,
      `${path} cannot be read or written: ${reason}. Check the disk and its file system (dmesg), quotas, and file size limits (ulimit -f).`,
    );
  }
  if (
    code === 'SQLITE_SCHEMA' ||
    (code === 'SQLITE_ERROR' && !isOurs && /^no such (column|table)/.test(error.message))
  ) {
    return as(
      'memory_locked',
      `claude-mem changed the tables of ${path} during the sync: ${errorMessage(error)}. The sync tries again.`,
    );
  }
  return as(
    isOurs ? 'ledger_failed' : 'memory_failed',
    `SQLite failed on ${path}: ${reason}. Nothing was changed. The next sync tries again; if the error stays, run "membridge doctor" and report it.`,
  );
}

/** SQLite codes of a failed write: a full disk, a quota, or a file size limit. */
const WRITE_CODES: ReadonlySet<string> = new Set([
  'SQLITE_IOERR_WRITE',
  'SQLITE_IOERR_FSYNC',
  'SQLITE_IOERR_TRUNCATE',
  'SQLITE_IOERR_SHMSIZE',
  'SQLITE_IOERR_SHMMAP',
  'SQLITE_IOERR_SHMOPEN',
  'SQLITE_CANTOPEN',
]);

/** SQLite codes of a file system that cannot lock or share memory. */
const LOCKING_CODES: ReadonlySet<string> = new Set([
  'SQLITE_PROTOCOL',
  'SQLITE_NOLFS',
  ...[
    'LOCK',
    'UNLOCK',
    'RDLOCK',
    'CHECKRESERVEDLOCK',
    'BLOCKED',
    'SHMOPEN',
    'SHMSIZE',
    'SHMLOCK',
    'SHMMAP',
    'MMAP',
  ].map((name) => `SQLITE_IOERR_${name}`),
  'SQLITE_READONLY_CANTLOCK',
]);

function fromSystemError({ path, isOurs }: FailedFile, error: NodeJS.ErrnoException): MembridgeError {
  const { code } = error;
  const at = error.path ?? path;
  const as = (name: ErrorCode, message: string): MembridgeError =>
    new MembridgeError(name, message, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFullError(at, error);
  if (isOurs) {
    return as(
      'ledger_failed',
      `The sync ledger's file ${at} cannot be used: ${errorMessage(error)}. ${accessAdvice(at)}`,
    );
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return as(
      'memory_missing',
      `There is no claude-mem database at ${path}. Start Claude Code with the claude-mem plugin once, or set CLAUDE_MEM_DB.`,
    );
  }
  if (code === 'EBUSY' || code === 'ETXTBSY' || code === 'EAGAIN') {
    return as(
      'memory_locked',
      `${at} is in use by another program (${errorMessage(error)}); the sync tries again.`,
    );
  }
  return as('memory_unreadable', `${at} cannot be used: ${errorMessage(error)}. ${accessAdvice(at)}`);
}

function diskFullError(path: string, cause: unknown): MembridgeError {
  return new MembridgeError(
    'disk_full',
    `The disk that holds ${path} is full, or a quota is used up: ${errorMessage(cause)}. Free space there; the next sync continues.`,
    { cause },
  );
}

function isFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < FULL_BELOW_BYTES;
  } catch {
    return false;
  }
}

/** Returns whether an error comes from a file call; network errors have a system call too. */
function isFileError(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return false;
  return 'path' in error || FILE_CALLS.has(String(error.syscall));
}

/** File calls whose errors name no path: they work on a descriptor. */
const FILE_CALLS: ReadonlySet<string> = new Set([
  'fdatasync',
  'fsync',
  'fstat',
  'ftruncate',
  'close',
  'write',
  'copyfile',
]);

/** Returns what visibly keeps this user from a database, and what to do. */
function accessAdvice(path: string): string {
  const user = userName();
  const { R_OK, W_OK, X_OK } = constants;
  for (const [file, mode, what] of [
    [dirname(path), X_OK, 'open files in the folder'],
    [path, R_OK, 'read'],
    [`${path}-wal`, R_OK | W_OK, 'read and write'],
    [`${path}-shm`, R_OK | W_OK, 'read and write'],
    [path, W_OK, 'write'],
    [dirname(path), W_OK, 'make files in the folder'],
  ] as const) {
    const denied = findDenial(file, mode);
    if (denied === 'read-only') {
      return `${file} lies on a file system that is mounted read-only. Mount it writable, or set CLAUDE_MEM_DB to another database.`;
    }
    if (denied === 'denied') return `User ${user} may not ${what} ${file}. Change its owner or permissions.`;
  }
  return `Check that user ${user} may read and write it, and that its disk works.`;
}

function findDenial(file: string, mode: number): 'denied' | 'read-only' | null {
  try {
    accessSync(file, mode);
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EROFS') return 'read-only';
    return code === 'EACCES' || code === 'EPERM' ? 'denied' : null;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'of this agent');
  }
}
