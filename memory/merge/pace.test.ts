import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { Pace } from './pace.ts';

let folder: string;
let path: string;
let db: Database.Database;
let child: ChildProcess | null = null;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'membridge-pace-'));
  path = join(folder, 'claude-mem.db');
  db = buildDatabase(path, '13.25.3');
});
afterEach(() => {
  child?.kill('SIGKILL');
  child = null;
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a merge', () => {
  it('holds the lock for long only while no other process has the database open', async () => {
    expect(new Pace(path, db).hold()).toBeGreaterThan(100);
    // Like a worker that has the file open and is idle.
    const holder = spawn('sh', ['-c', 'exec 3<"$1"; echo open; exec sleep 600', 'sh', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = holder;
    await once(holder.stdout, 'data');
    expect(new Pace(path, db).hold()).toBe(40);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(new Pace(path, db).hold()).toBeGreaterThan(100);
    const others = [new Database(path), new Database(path)];
    expect(new Pace(path, db).hold()).toBe(40);
    for (const other of others) other.close();
  });

  it('yields to a worker found by its worker.pid, and to a recent writer', () => {
    writeFileSync(join(folder, 'worker.pid'), JSON.stringify({ pid: process.ppid, port: 1 }));
    expect(new Pace(path, db).hold()).toBe(40);
    rmSync(join(folder, 'worker.pid'));
    const pace = new Pace(path, db);
    expect(pace.hold()).toBeGreaterThan(100);
    const other = new Database(path);
    other.exec(`INSERT INTO sdk_sessions (content_session_id, project, started_at, started_at_epoch, status)
      VALUES ('s', 'p', '', 1, 'active')`);
    other.close();
    expect(pace.hold()).toBe(40);
  });
});
