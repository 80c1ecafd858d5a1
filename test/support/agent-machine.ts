import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import { LabelList } from '../../contract/tasks/tasks.ts';
import { buildDatabase } from '../../fixtures/claude-mem/build.ts';
import { writeHistory } from '../../fixtures/claude-mem/history.ts';
import { MemoryWriter } from '../../fixtures/claude-mem/write.ts';
import { startNodeProcess } from '../../stack/node-process.ts';
import { freePort } from '../../stack/ports.ts';
import type { Service } from '../../stack/service.ts';
import type { TestPlane } from './control-plane.ts';
import { readState } from '../../agent/control-plane/state.ts';

const JANUARY = Date.UTC(2026, 0, 5, 9);
const root = join(import.meta.dirname, '../..');

/** A test's real agent, with its own home folder. */
export interface TestMachine {
  readonly id: string;
  readonly home: string;
  readonly url: string;
  readonly db: Database.Database;
  readonly service: Service;
  key(): string;
  /** Runs bin/membridge's program, as a person on this machine would. */
  cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  observations(): number;
  /** Writes a memory as claude-mem would. */
  remember(title: string): void;
}

/** Files in the home of a machine with Claude Code and the original's hooks. */
const FILES = [
  ['.claude/settings.json', '{"a":1}'],
  ['.claude/settings.local.json', '{"b":2}'],
  ['.claude/.credentials.json', '{"secret":true}'],
  ['.claude/auth.json', '{"auth":true}'],
  ['.claude-mem/settings.json', '{"worker":37777}'],
  ['.claude-mem-minio/config.env', 'MINIO_ENDPOINT=http://example.test\n'],
  ['.claude-mem-minio/bin/sqlite_minio_sync.py', 'print("the original")\n'],
] as const;

/**
 * Makes a machine with a claude-mem database and starts its agent.
 * @param options.root the checkout whose agent it runs; by default this one
 */
export async function startTestMachine(
  test: Pick<TestPlane, 'call'> & { plane: { url: string } },
  options: { folder: string; id: string; observations?: number; env?: Record<string, string>; root?: string },
): Promise<TestMachine> {
  const { folder, id } = options;
  const home = join(folder, id);
  const db = buildDatabase(join(home, '.claude-mem', 'claude-mem.db'), '13.25.3');
  writeHistory(db, {
    name: id,
    seed: id.length,
    observations: options.observations ?? 24,
    from: JANUARY,
  });
  for (const [file, text] of FILES) {
    mkdirSync(join(home, file, '..'), { recursive: true });
    writeFileSync(join(home, file), text);
  }
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const pools = LabelList.parse(options.env?.['MEMBRIDGE_LABELS'] ?? '');
  const { body } = await test.call('POST', '/api/runtime/enrolment-tokens', {
    // A control plane before 0.5 knows no pools.
    body: { node_id: id, ...(pools.length > 0 && { pools }) },
  });
  const environment = {
    PATH: process.env['PATH'] ?? '',
    MEMBRIDGE_AGENT_DATA_DIR: join(home, '.membridge'),
    CLAUDE_MEM_DB: '',
    HOME: home,
    LOG_LEVEL: 'info',
    MEMBRIDGE_SERVER_URL: test.plane.url,
    MEMBRIDGE_ENROL_TOKEN: String(body['token']),
    MEMBRIDGE_NODE_ID: id,
    MEMBRIDGE_AGENT_PORT: String(port),
    ...options.env,
  };
  const service = await startNodeProcess({
    name: `agent-${id}`,
    script: join(options.root ?? root, 'agent', 'main.ts'),
    dataDir: folder,
    env: environment,
    ready: { url: `${url}/health` },
  });
  const writer = new MemoryWriter(db);
  const session = db.prepare('SELECT memory_session_id FROM sdk_sessions LIMIT 1').pluck();
  return {
    id,
    home,
    url,
    db,
    service,
    key: () => readState(join(home, '.membridge'))?.enrolment.agent_key ?? '',
    cli: async (...args) => {
      try {
        const done = await promisify(execFile)(process.execPath, [join(root, 'agent', 'cli.ts'), ...args], {
          env: environment,
        });
        return { code: 0, ...done };
      } catch (error) {
        const failed = error as { code: number; stdout: string; stderr: string };
        return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
      }
    },
    observations: () => db.prepare('SELECT count(*) FROM observations').pluck().get() as number,
    remember: (title) => {
      const memorySessionId = (session.get() ?? '') as string;
      const createdAt = Date.now();
      writer.observation({ memorySessionId, project: 'garden', title, narrative: null, createdAt });
    },
  };
}
