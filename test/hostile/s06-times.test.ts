import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { readRecentMemory } from '../../runner/hint-memory.ts';
import { CALL, newFleet, settle, type TestFleet, type TestNode } from '../memory/nodes.ts';

const DAY = 24 * 3_600_000;
let folder: string;
let db: Database.Database;

function observe(title: string, at: string): void {
  db.exec(
    `INSERT OR IGNORE INTO sdk_sessions (content_session_id, memory_session_id, project, started_at, started_at_epoch, status)
       VALUES ('s', 'm', 'open', 'x', 1, 'completed');
     INSERT INTO observations (memory_session_id, project, type, title, narrative, content_hash, created_at, created_at_epoch)
       VALUES ('m', 'open', 'discovery', '${title}', 'text', '${title}', 'x', ${at})`,
  );
}

describe('S6: a hint about recent memories', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'membridge-times-'));
    db = buildDatabase(join(folder, 'claude-mem.db'), '13.25.3');
  });
  afterEach(() => {
    db.close();
    rmSync(folder, { recursive: true, force: true });
  });

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

describe('S6: a memory of a peer that is dated in the future', () => {
  let fleet: TestFleet;
  let honest: TestNode;
  let other: TestNode;
  beforeEach(async () => {
    fleet = await newFleet();
    honest = fleet.add('honest', '13.25.3');
    other = fleet.add('other', '13.25.3');
    await settle(fleet.space, [honest, other]);
    fleet.tell([honest], {});
  });
  afterEach(() => fleet.close());
  const tell = async (title: string, createdAt: number): Promise<string> => {
    const session = { contentSessionId: 's', memorySessionId: 'm', project: 'open' };
    if (other.count('sdk_sessions') === 0) other.write.session({ ...session, startedAt: 1 });
    other.write.observation({ ...session, title, narrative: title, createdAt });
    await other.engine.push(fleet.space, CALL);
    return JSON.stringify((await honest.engine.pull(fleet.space, true, CALL)).problems);
  };

  it.each([Date.now() + 2 * DAY, Date.UTC(9999, 0, 1), 8_640_000_000_000_000])(
    'waits for a person, with the reason: %s',
    async (at) => {
      expect(await tell('future', at)).toMatch(/other dates 1 memories later than a day after they came in/);
      expect(honest.count('observations')).toBe(0);
    },
  );

  it('comes in immediately when it is dated within a day, or long ago', async () => {
    expect(await tell('soon', Date.now() + DAY / 2)).toBe('[]');
    expect(await tell('long ago', 1)).toBe('[]');
    expect(honest.count('observations')).toBe(2);
  });

  it('is let through by a person once, with later ones: a machine with a wrong clock asks once', async () => {
    await tell('future', Date.now() + 3_650 * DAY);
    fleet.tell([honest], {
      deletions: [{ space: fleet.space.cid, node: 'other', until: Date.now() + 60_000 }],
    });
    expect(JSON.stringify((await honest.engine.pull(fleet.space, true, CALL)).problems)).toBe('[]');
    fleet.tell([honest], { deletions: [{ space: fleet.space.cid, node: 'other', until: Date.now() - 1 }] });
    expect(await tell('later', Date.now() + 3_651 * DAY)).toBe('[]');
    expect(honest.count('observations')).toBe(2);
  });
});
