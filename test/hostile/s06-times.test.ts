import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { readRecentMemory } from '../../runner/hint-memory.ts';

const DAY = 24 * 3_600_000;
let folder: string;
let db: Database.Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-times-'));
  db = buildDatabase(join(folder, 'claude-mem.db'), '13.25.3');
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

function observe(title: string, at: string): void {
  db.exec(
    `INSERT OR IGNORE INTO sdk_sessions (content_session_id, memory_session_id, project, started_at, started_at_epoch, status)
       VALUES ('s', 'm', 'open', 'x', 1, 'completed');
     INSERT INTO observations (memory_session_id, project, type, title, narrative, content_hash, created_at, created_at_epoch)
       VALUES ('m', 'open', 'discovery', '${title}', 'text', '${title}', 'x', ${at})`,
  );
}

describe('S6: a hint about recent memories', () => {
  it.each([
    '8640000000000001',
    '1e300',
    '9e999',
    '9223372036854775807',
    "'soon'",
    "x'00'",
    String(Date.now() + 3 * DAY),
  ])('leaves out a memory that is dated in the future or has no date: %s', (at) => {
    observe('true', String(Date.now() - DAY));
    observe('false', at);
    const { pieces } = readRecentMemory(join(folder, 'claude-mem.db'), 'open');
    const text = Array.from(pieces as Iterable<{ text: string }>, (piece) => piece.text).join();
    expect(text).toContain('title: true');
    expect(text).not.toContain('title: false');
  });
});
