import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';

/**
 * Reads SQLite's write-ahead log (WAL) and its index as files (https://sqlite.org/walformat.html): the
 * commits, and the pages that they wrote. Takes no lock and writes nothing.
 */

/** A position in a WAL. */
export interface WalPosition {
  /** How many transactions were committed since the index was created (iChange). */
  readonly commits: number;
  /** The last valid frame (mxFrame). */
  readonly frames: number;
  /** Identifies the WAL's generation: the WAL restarts once all of it is in the database. */
  readonly salts: string;
  /** Bytes per page. */
  readonly pageSize: number;
}

/** A page as a commit wrote it. */
export interface WalFrame {
  readonly page: number;
  readonly isCommit: boolean;
  readonly bytes: Buffer;
}

const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** The index begins with two copies of this header; they differ during a write. */
const INDEX_HEADER_BYTES = 48;
const INDEX_VERSION = 3_007_000;
const MAX_TRIES = 5;

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

interface OpenIndex {
  readonly file: number;
  readonly identity: string;
}

/**
 * Index files that this process has open, by path. SQLite keeps its locks on this file, and closing any
 * descriptor of it drops all of the process's locks (POSIX). So a descriptor is closed only after its file is
 * gone.
 */
const indexes = new Map<string, OpenIndex>();

const identityOf = ({ dev, ino }: { dev: number; ino: number }): string => `${dev}/${ino}`;

/**
 * @returns a descriptor of a database's WAL index; null when the database is not in WAL mode, or no process
 * has it open
 */
function openIndex(path: string): number | null {
  const name = `${path}-shm`;
  const found = statSync(name, { throwIfNoEntry: false });
  if (found === undefined) return null;
  const known = indexes.get(name);
  if (known?.identity === identityOf(found)) return known.file;
  closeGone();
  const file = openSync(name, 'r');
  indexes.set(name, { file, identity: identityOf(fstatSync(file)) });
  return file;
}

/** Closes indexes whose file was deleted or replaced. */
function closeGone(): void {
  for (const [name, { file, identity }] of indexes) {
    const found = statSync(name, { throwIfNoEntry: false });
    if (found !== undefined && identityOf(found) === identity) continue;
    closeSync(file);
    indexes.delete(name);
  }
}

/**
 * Returns the current position of a database's WAL.
 * @param path the database, without symbolic links
 * @returns null when unknown: no WAL mode, or an index of a newer format
 */
export function readWalPosition(path: string): WalPosition | null {
  const file = openIndex(path);
  if (file === null) return null;
  const bytes = Buffer.alloc(2 * INDEX_HEADER_BYTES);
  for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
    if (readSync(file, bytes, 0, bytes.length, 0) < bytes.length) return null;
    const first = bytes.subarray(0, INDEX_HEADER_BYTES);
    if (!first.equals(bytes.subarray(INDEX_HEADER_BYTES))) continue;
    const word = (at: number): number => (isLittleEndian ? first.readUInt32LE(at) : first.readUInt32BE(at));
    if (word(0) !== INDEX_VERSION || first[12] !== 1) return null;
    const size = isLittleEndian ? first.readUInt16LE(14) : first.readUInt16BE(14);
    return {
      commits: word(8),
      frames: word(16),
      salts: first.toString('hex', 32, 40),
      // 65,536 does not fit, so SQLite stores 1.
      pageSize: (size & 0xfe00) + ((size & 1) << 16),
    };
  }
  return null;
}

/**
 * Reads the frames after `from` up to a position.
 * @param path the database, without symbolic links
 * @returns null when the WAL restarted in between
 * @throws Error of the file system
 */
export function readWalFrames(path: string, from: number, to: WalPosition): WalFrame[] | null {
  const count = to.frames - from;
  const frames = readFramesOf(path, to, from, count);
  return frames.length < count ? null : frames;
}

/**
 * Reads commits after a position from a WAL that has restarted once since. The new WAL overwrites the old one
 * from its start, so frames behind its end are still the old ones.
 * @param path the database, without symbolic links
 * @param most maximum number of frames
 * @returns the remaining frames up to the last commit; none when the new WAL is already longer than the old
 * position
 * @throws Error of the file system
 */
export function readFormerWalFrames(path: string, after: WalPosition, most: number): WalFrame[] {
  const frames = readFramesOf(path, after, after.frames, most);
  // Frames are overwritten in order, each header before its page: if the first header is the old one, no page
  // was touched.
  const isWhole = readFramesOf(path, after, after.frames, 1).length === 1;
  return isWhole ? frames.slice(0, frames.findLastIndex(({ isCommit }) => isCommit) + 1) : [];
}

/** Returns whether one WAL directly follows another: SQLite adds 1 to the first salt at each restart. */
export function isNextLog(before: WalPosition, now: WalPosition): boolean {
  const firstSalt = ({ salts }: WalPosition): number => Number.parseInt(salts.slice(0, 8), 16);
  return before.pageSize === now.pageSize && (firstSalt(before) + 1) % 2 ** 32 === firstSalt(now);
}

/** Frames per read. */
const FRAMES_PER_READ = 128;

/**
 * @returns up to `count` frames after the first `from`, ending at the first frame of another WAL or at the
 * end of the file
 */
function readFramesOf(path: string, log: WalPosition, from: number, count: number): WalFrame[] {
  if (count <= 0) return [];
  const frameBytes = FRAME_HEADER_BYTES + log.pageSize;
  const frames: WalFrame[] = [];
  // SQLite takes no lock on the WAL itself, so closing it here drops none.
  const file = openSync(`${path}-wal`, 'r');
  try {
    for (let more = true; more && frames.length < count;) {
      const wanted = Math.min(FRAMES_PER_READ, count - frames.length);
      const bytes = Buffer.allocUnsafe(wanted * frameBytes);
      const start = WAL_HEADER_BYTES + (from + frames.length) * frameBytes;
      const read = readSync(file, bytes, 0, bytes.length, start);
      const found = parseFrames(bytes.subarray(0, read - (read % frameBytes)), log);
      frames.push(...found);
      more = found.length === wanted;
    }
  } finally {
    closeSync(file);
  }
  return frames;
}

/** @returns frames up to the first one of another WAL */
function parseFrames(bytes: Buffer, { salts, pageSize }: WalPosition): WalFrame[] {
  const frameBytes = FRAME_HEADER_BYTES + pageSize;
  const frames: WalFrame[] = [];
  for (let at = 0; at < bytes.length; at += frameBytes) {
    if (bytes.toString('hex', at + 8, at + 16) !== salts) break;
    frames.push({
      page: bytes.readUInt32BE(at),
      isCommit: bytes.readUInt32BE(at + 4) !== 0,
      bytes: bytes.subarray(at + FRAME_HEADER_BYTES, at + frameBytes),
    });
  }
  return frames;
}
