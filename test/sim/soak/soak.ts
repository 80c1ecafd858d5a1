import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { canonicalId } from '../../../contract/memory/canonical-id.ts';
import type { SpaceConfig } from '../../../contract/memory/memory.ts';
import type { StoreAccess } from '../../../contract/nodes/nodes.ts';
import { buildDatabase } from '../../../fixtures/claude-mem/build.ts';
import { canonicalHash } from '../../../memory/detect/canonical-hash.ts';
import { MemoryEngine } from '../../../memory/engine.ts';
import { type EngineOptions } from '../../../memory/engine-options.ts';
import { generateNodeKey, signCertificate } from '../../../memory/format/signing.ts';
import { openObjectStore } from '../../../storage/object-store.ts';
import { Dice } from '../dice.ts';
import type { SoakJob } from './agent.ts';

/** The result of a soak. */
export interface SoakReport {
  readonly kills: number;
  readonly seed: number;
  /** Rows that agents reported before they died. */
  readonly rows: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly invented: number;
  readonly diverged: number;
  readonly unsound: number;
  readonly rounds: number;
  readonly ms: number;
}

export interface SoakOptions {
  readonly access: StoreAccess;
  /** The folder for the agents' files. */
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  readonly log: (line: string) => void;
}

const AGENTS = 5;
const RELEASES = ['13.25.3', '12.7.5', '13.25.3', '13.12.0', '13.25.3'];
const CALL = { signal: new AbortController().signal, progress: () => undefined };
const SPACE: SpaceConfig = { cid: canonicalId('soak'), projectId: 'soak', projects: ['*'] };
const MAX_ROUNDS = 12;

interface Agent {
  readonly node: string;
  readonly path: string;
  readonly job: Omit<SoakJob, 'life'>;
  readonly options: Omit<EngineOptions, 'store'>;
}

/**
 * Kills five agent processes with SIGKILL at random moments, while they write and sync with a real store, and
 * restarts them. At the end it compares every database with the rows that the agents reported as committed.
 */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const began = performance.now();
  const folder = mkdtempSync(join(options.folder, 'soak-'));
  const agents = makeAgents(folder, options.access);
  const told = new Set<string>();
  const children = new Map<Agent, ChildProcess>();
  try {
    let kills = 0;
    await Promise.all(
      agents.map(async (agent, n) => {
        const dice = new Dice(options.seed * 31 + n);
        for (let life = 0; kills < options.kills; life += 1) {
          const child = startAgent(agent, life, (token) => told.add(token), options.log);
          children.set(agent, child);
          const exited = once(child, 'exit');
          // From the first statement on, through pushes and pulls: chance decides what the agent is doing.
          const first = await Promise.race([once(child.stdout ?? child, 'data'), exited.then(() => null)]);
          if (first !== null) await sleep(dice.below(220));
          if (child.exitCode !== null)
            throw new Error(`agent ${agent.node} ended by itself (code ${child.exitCode})`);
          child.kill('SIGKILL');
          await exited;
          kills += 1;
          if (kills % 50 === 0) options.log(`${kills} kills, ${told.size} rows`);
        }
      }),
    );
    const { rounds, engines } = await settle(agents, options.access);
    const report = judge(agents, told);
    for (const engine of engines) await engine.close();
    return {
      kills,
      seed: options.seed,
      rows: told.size,
      ...report,
      rounds,
      ms: Math.round(performance.now() - began),
    };
  } finally {
    for (const child of children.values()) if (child.exitCode === null) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeAgents(folder: string, access: StoreAccess): Agent[] {
  const control = generateNodeKey().key;
  return Array.from({ length: AGENTS }, (_, n) => {
    const node = String.fromCharCode(97 + n);
    mkdirSync(join(folder, node));
    const path = join(folder, node, 'claude-mem.db');
    buildDatabase(path, RELEASES[n] ?? '13.25.3').close();
    const { key, pem } = generateNodeKey();
    const certificate = signCertificate(
      { node, publicKey: key.publicKey, issuedAt: Date.now() },
      control.privateKey,
    );
    const paths = {
      databasePath: path,
      ledgerPath: join(folder, node, 'ledger.db'),
      lockDirectory: join(folder, 'locks'),
      orphanWaitMs: 600_000,
    };
    const identity = { node, key, certificate, controlPublicKey: control.publicKey };
    const job = { ...paths, identity: { ...identity, key: pem }, access, space: SPACE };
    return { node, path, job, options: { ...paths, identity: { ...identity, sealingKeys: [] } } };
  });
}

function startAgent(
  agent: Agent,
  life: number,
  hear: (token: string) => void,
  log: (line: string) => void,
): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'agent.ts')], {
    env: { ...process.env, SOAK_JOB: JSON.stringify({ ...agent.job, life }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Only whole lines count: the last one may have been cut by the kill.
  createInterface({ input: child.stdout }).on('line', (line) => {
    const match = /^wrote ([a-z]-\d+-\d+)$/.exec(line);
    if (match?.[1] !== undefined) hear(match[1]);
  });
  createInterface({ input: child.stderr }).on('line', (line) => log(`  ${line}`));
  return child;
}

async function settle(
  agents: readonly Agent[],
  access: StoreAccess,
): Promise<{ rounds: number; engines: MemoryEngine[] }> {
  const engines = agents.map(
    ({ options }) => new MemoryEngine({ ...options, store: openObjectStore(access) }),
  );
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    let moved = 0;
    for (const engine of engines) {
      moved += (await engine.push(SPACE, CALL)).rows;
      const { inserted, updated, waiting } = await engine.pull(SPACE, true, CALL);
      moved += inserted + updated + waiting;
    }
    if (moved === 0) return { rounds: round, engines };
  }
  return { rounds: MAX_ROUNDS + 1, engines };
}

/** Compares the databases with the agents' reports. A row that was committed but not reported may exist. */
function judge(
  agents: readonly Agent[],
  told: ReadonlySet<string>,
): Pick<SoakReport, 'lost' | 'duplicated' | 'invented' | 'diverged' | 'unsound'> {
  const verdict = { lost: 0, duplicated: 0, invented: 0, diverged: 0, unsound: 0 };
  const hashes = new Set<string>();
  for (const { path } of agents) {
    const db = new Database(path);
    const tokens = db
      .prepare(
        `SELECT content_session_id || '-0' FROM sdk_sessions UNION ALL SELECT prompt_text FROM user_prompts
         UNION ALL SELECT title FROM observations`,
      )
      .pluck()
      .all() as string[];
    const counts = new Map<string, number>();
    for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
    for (const token of told) if (!counts.has(token)) verdict.lost += 1;
    for (const [token, count] of counts) {
      verdict.duplicated += count - 1;
      // Reported or not, it must be the next row of some life.
      const [node = '', life = '', number = ''] = token.split('-');
      const before = `${node}-${life}-${Number(number) - 1}`;
      if (!told.has(token) && Number(number) > 0 && !told.has(before)) verdict.invented += 1;
    }
    if (db.pragma('integrity_check', { simple: true }) !== 'ok') verdict.unsound += 1;
    verdict.unsound += (db.pragma('foreign_key_check') as unknown[]).length;
    for (const table of ['observations_fts', 'session_summaries_fts', 'user_prompts_fts']) {
      try {
        db.exec(`INSERT INTO ${table}(${table}, rank) VALUES ('integrity-check', 1)`);
      } catch {
        verdict.unsound += 1;
      }
    }
    hashes.add(canonicalHash(db, path));
    db.close();
  }
  verdict.diverged = hashes.size - 1;
  return verdict;
}
