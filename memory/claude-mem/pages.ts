/**
 * Reads pages of a SQLite database (https://sqlite.org/fileformat2.html) as far as needed to find the rows
 * that may have changed with their pages.
 */

/** Rows of one table on one leaf page, by their local ids. */
export interface PageRows {
  readonly first: number;
  readonly last: number;
  /** Number of columns that the first row was written with; narrows down the table. */
  readonly columns: number;
}

/** Rows found on changed pages. */
export interface ChangedPages {
  readonly rows: readonly PageRows[];
  /** Leaf pages without rows: roots of tables that are empty now. */
  readonly empty: readonly number[];
  /** Pages with a part of an unknown row, such as a long text that was changed in place. */
  readonly unknown: readonly number[];
}

const TABLE_LEAF = 0x0d;
/** Interior pages, and leaves of indexes: their content follows from the rows. */
const DERIVED_PAGE_TYPES = new Set([0x02, 0x05, 0x0a]);

/** The database's header, at the start of page 1. */
const FILE_HEADER_BYTES = 100;
const FIRST_TRUNK_AT = 32;

/**
 * Finds the rows that may have changed.
 * @param images current pages by number; only those that changed
 * @param isAutoVacuum whether the database has pointer-map pages
 */
export function findRowsOnPages(
  images: ReadonlyMap<number, Buffer>,
  pageSize: number,
  isAutoVacuum: boolean,
): ChangedPages {
  const rows: PageRows[] = [];
  const empty: number[] = [];
  const unknown = new Set<number>();
  const chains: number[] = [];
  for (const [page, bytes] of images) {
    const at = page === 1 ? FILE_HEADER_BYTES : 0;
    const type = bytes[at];
    if (type === TABLE_LEAF) {
      const found = readLeaf(bytes, at, pageSize, chains);
      if (found === null) empty.push(page);
      else rows.push(found);
    } else if (type === undefined || !DERIVED_PAGE_TYPES.has(type)) {
      if (!isAutoVacuum || pointerMapOf(page, pageSize) !== page) unknown.add(page);
    }
  }
  // A long row continues in a chain of pages; each one begins with the number of the next.
  for (const chain of chains) {
    for (let page = chain; unknown.delete(page);) page = images.get(page)?.readUInt32BE(0) ?? 0;
  }
  // Free pages: each trunk page names the next one, and further free pages.
  const header = images.get(1);
  for (let trunk = header?.readUInt32BE(FIRST_TRUNK_AT) ?? 0; unknown.delete(trunk);) {
    const bytes = images.get(trunk);
    if (bytes === undefined) break;
    const free = Math.min(bytes.readUInt32BE(4), pageSize / 4 - 2);
    for (let index = 0; index < free; index += 1) unknown.delete(bytes.readUInt32BE(8 + 4 * index));
    trunk = bytes.readUInt32BE(0);
  }
  return { rows, empty, unknown: [...unknown] };
}

/**
 * @param chains receives the first overflow page of each long row
 * @returns null for a leaf without rows
 */
function readLeaf(bytes: Buffer, at: number, pageSize: number, chains: number[]): PageRows | null {
  const cells = bytes.readUInt16BE(at + 3);
  if (cells === 0) return null;
  let first = 0;
  let last = 0;
  let columns = 0;
  for (let index = 0; index < cells; index += 1) {
    let place = bytes.readUInt16BE(at + 8 + 2 * index);
    const payload = readVarint(bytes, place);
    place += payload.length;
    const id = readVarint(bytes, place);
    place += id.length;
    if (index === 0) {
      first = id.value;
      columns = countColumns(bytes, place);
    }
    last = id.value;
    const local = countLocalBytes(payload.value, pageSize);
    if (local < payload.value) chains.push(bytes.readUInt32BE(place + local));
  }
  return { first, last, columns };
}

/**
 * Returns how many bytes of a row are on its leaf; the rest is on overflow pages. Assumes pages without
 * reserved bytes, as in claude-mem.
 */
function countLocalBytes(payload: number, usable: number): number {
  const max = usable - 35;
  if (payload <= max) return payload;
  const min = Math.floor(((usable - 12) * 32) / 255) - 23;
  const local = min + ((payload - min) % (usable - 4));
  return local <= max ? local : min;
}

/** Returns how many columns a row was written with. */
function countColumns(bytes: Buffer, at: number): number {
  const header = readVarint(bytes, at);
  const end = Math.min(at + header.value, bytes.length);
  let columns = 0;
  for (let place = at + header.length; place < end; place += readVarint(bytes, place).length) columns += 1;
  return columns;
}

/** Reads a big-endian number of 1 to 9 bytes; rounded above 2^53, which no local id reaches. */
function readVarint(bytes: Buffer, at: number): { value: number; length: number } {
  let value = 0;
  for (let index = 0; index < 8; index += 1) {
    const byte = bytes[at + index] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, length: index + 1 };
  }
  return { value: value * 256 + (bytes[at + 8] ?? 0), length: 9 };
}

/** Returns the page with the pointer map of a page. It may be that page itself. */
function pointerMapOf(page: number, usable: number): number {
  const pages = Math.floor(usable / 5) + 1;
  const map = Math.floor((page - 2) / pages) * pages + 2;
  const pendingByte = Math.floor(0x4000_0000 / usable) + 1;
  return map === pendingByte ? map + 1 : map;
}
