import { statfsSync } from 'node:fs';
import { MembridgeError, errorMessage } from '../../contract/errors.ts';
import type { SyncCall } from '../../memory/engine.ts';
import { headPrefix } from '../../memory/format/layout.ts';
import { probeConditionalWrites, type ConditionFinding } from '../../storage/probe-conditional-writes.ts';
import { isThroughControlPlane, openRoutedStore, routeTarget } from '../../storage/store-route.ts';
import type { Agent } from '../agent.ts';
import { readStoreReport, writeStoreReport } from '../control-plane/state.ts';
import { chooseStoreRoute } from '../control-plane/store-route.ts';
import { uncoveredSentence } from '../../contract/memory/uncovered.ts';
import { coverage } from '../calls/coverage.ts';
import { deletes } from '../calls/deletes.ts';
import { inspectDatabase } from '../calls/doctor.ts';
import type { Check, CoverageAnswer } from '../../contract/nodes/remote-calls.ts';
import { examineDatabase, examinePlace } from './database.ts';
import { isProgramRunnable } from '../node-facts.ts';

/** A clock that is further off than this causes a warning (5 minutes, in milliseconds). */
const MAX_CLOCK_OFF_MS = 5 * 60_000;

/** How long the memory thread may take to answer, in milliseconds: a sync may be running. */
const ANSWER_MS = 5_000;

/** How long the memory thread may take to examine the inside of the database, in milliseconds. */
const INSIDE_MS = 60_000;

/** Less free space than this at the ledger causes a warning, in bytes. */
const MIN_FREE_BYTES = 500_000_000;

/** Limits a call of the memory thread to a time in milliseconds, and to as long as the caller waits. */
const callWithin = (ms: number, left: AbortSignal): SyncCall => ({
  signal: AbortSignal.any([left, AbortSignal.timeout(ms)]),
  progress: () => undefined,
});

/** Checks whether mass deletions wait for an answer; nothing is sent until then. */
async function examineDeletions(
  { memory }: Agent,
  left: AbortSignal,
): Promise<[ok: boolean, detail: string]> {
  const call = callWithin(ANSWER_MS, left);
  try {
    const held = deletes.output.parse(await memory.call(deletes.name, {}, call)) as {
      deletes: number | null;
    };
    return [held.deletes === 0, deletes.say(held).join(' ')];
  } catch (error) {
    return [false, errorMessage(error)];
  }
}

/** Examines the inside of claude-mem's database and its vector index, in the memory thread. */
async function examineInside({ memory }: Agent, left: AbortSignal): Promise<Check[]> {
  const call = callWithin(INSIDE_MS, left);
  try {
    const answer = inspectDatabase.output.parse(await memory.call(inspectDatabase.name, {}, call));
    return (answer as { checks: Check[] }).checks;
  } catch (error) {
    return [{ name: 'inside claude-mem', ok: false, detail: errorMessage(error) }];
  }
}

/**
 * Checks whether the spaces cover anything in this node's database. A node with nothing that a space covers sends
 * nothing.
 */
async function examineCoverage({ memory }: Agent, left: AbortSignal): Promise<[ok: boolean, detail: string]> {
  const call = callWithin(ANSWER_MS, left);
  try {
    const { spaces } = coverage.output.parse(await memory.call(coverage.name, {}, call)) as CoverageAnswer;
    const hints = spaces.flatMap(({ project, uncovered }) =>
      uncovered === null ? [] : [`${project}: ${uncoveredSentence(uncovered)}`],
    );
    const detail = hints.length === 0 ? 'every space covers something of this database' : hints.join('; ');
    return [hints.length === 0 || hints.length < spaces.length, detail];
  } catch (error) {
    return [false, errorMessage(error)];
  }
}

/** Reports where tasks run. A node without a program for tasks runs none and needs no sandbox. */
function examineSandbox({ config, sandbox: { told } }: Agent): Check {
  const name = 'task sandbox';
  if (config.dryrun || !isProgramRunnable(config.runner.program)) {
    return { name, ok: true, detail: `not needed: this node takes no tasks (${config.runner.program})` };
  }
  if (told.mode === 'bubblewrap') return { name, ok: true, detail: 'tasks run in bubblewrap' };
  return { name, ok: !told.refuses, warning: true, detail: told.detail ?? 'tasks run without a sandbox' };
}

/**
 * Examines everything that this node's memory sync depends on. Changes nothing.
 * @param signal ends the longer checks early; they then fail
 */
export async function examine(
  agent: Agent,
  signal: AbortSignal = new AbortController().signal,
): Promise<Check[]> {
  const { heartbeat, state, engine, requests, worker, config } = agent;
  const memory = heartbeat.memory;
  const checks: Check[] = [];
  const add = (name: string, ok: boolean, detail: string): void => void checks.push({ name, ok, detail });

  const { rows } = memory;
  const counts =
    rows === null
      ? ''
      : `${rows.observations} observations, ${rows.sessions} sessions, ${rows.summaries} summaries, ${rows.prompts} prompts`;
  add(
    'claude-mem',
    memory.state === 'ready',
    memory.detail ??
      (memory.state === 'ready'
        ? `${memory.path}: ${memory.schema}; ${counts}`
        : `${memory.path}: ${memory.state}`),
  );

  checks.push(examineDatabase(config), examinePlace(config));
  if (memory.state !== 'missing') checks.push(...(await examineInside(agent, signal)));
  if (memory.rows !== null) {
    add('deletions', ...(await examineDeletions(agent, signal)));
    if (agent.spaces().length > 0) add('coverage', ...(await examineCoverage(agent, signal)));
  }
  if ((memory.heldSegments ?? 0) > 0) {
    const nodes = `${memory.heldSegments} segments of nodes that this one does not trust yet are held`;
    add('trust', true, `${nodes}; accept or ignore those nodes on the page`);
  }

  const { lastOk, problem, clockAheadMs } = heartbeat.state;
  add(
    'control plane',
    problem === null && lastOk !== null,
    problem ??
      (lastOk === null
        ? 'the control plane has answered no heartbeat yet'
        : `${state.server_url} answered ${Math.round((Date.now() - lastOk) / 1_000)} s ago`),
  );
  if (clockAheadMs !== null) {
    const seconds = (clockAheadMs / 1_000).toFixed(1);
    const isClose = Math.abs(clockAheadMs) <= MAX_CLOCK_OFF_MS;
    const mend = isClose
      ? ''
      : '. Set the clock that is wrong; on Linux, "timedatectl set-ntp true" keeps it correct';
    add('clock', isClose, `${seconds} s ahead of the control plane's${mend}`);
  }

  const isDirect = engine.tunnel === null;
  const address = isDirect ? engine.address.address : state.server_url;
  const way = isDirect ? '' : ' through the control plane';
  try {
    await requests.check();
    add(
      'temporal',
      worker.isPolling(),
      worker.isPolling()
        ? `${address}: this node polls its queue${way}`
        : `${address} answers, but this node does not poll yet${way}`,
    );
  } catch (error) {
    add('temporal', false, errorMessage(error));
  }

  checks.push(examineSandbox(agent));

  const route = chooseStoreRoute(config, state);
  const store = openRoutedStore(route, { deadlineMs: 5_000 });
  try {
    const heads = await Promise.all(agent.spaces().map((space) => store.list(headPrefix(space.cid))));
    add(
      'object store',
      true,
      `${routeTarget(route)}: ${heads.flat().length} heads in ${heads.length} spaces`,
    );
  } catch (error) {
    add('object store', false, errorMessage(error));
  } finally {
    store.close();
  }

  const report = readStoreReport(config.dataDir);
  if (report !== null && report.endpoint === routeTarget(route)) {
    const on = new Date(report.at).toISOString().slice(0, 10);
    add(
      'conditional writes',
      true,
      `If-None-Match ${report.ifNoneMatch}, If-Match ${report.ifMatch} (tried on ${on}); nothing depends on them`,
    );
  }

  const { bavail, bsize } = statfsSync(config.dataDir);
  const free = bavail * bsize;
  add('disk', free >= MIN_FREE_BYTES, `${(free / 1e9).toFixed(1)} GB free at ${config.dataDir}`);
  if (config.dryrun) add('dry run', true, 'MEMBRIDGE_AGENT_DRYRUN=1: this node syncs nothing');
  return checks;
}

/**
 * Races conditional writes to the object store and records whether it honors them. Correctness never depends on them:
 * objects are named by their content, and each node writes only under its own name.
 * @throws MembridgeError store_unavailable or store_refused; conflict where the node does not reach the store itself
 */
export async function examineStore(agent: Agent, signal: AbortSignal): Promise<Check[]> {
  const access = chooseStoreRoute(agent.config, agent.state);
  if (isThroughControlPlane(access)) {
    throw new MembridgeError(
      'conflict',
      'This node reaches the object store through the control plane (MEMBRIDGE_AGENT_STORE), which makes no conditional writes. Try the store on a machine that reaches it directly.',
    );
  }
  const { ifNoneMatch, ifMatch, writers } = await probeConditionalWrites(access, { signal });
  const { endpoint } = access;
  const found = { ifNoneMatch: ifNoneMatch.promise, ifMatch: ifMatch.promise };
  writeStoreReport(agent.config.dataDir, { endpoint, at: Date.now(), ...found });
  const say = ({ promise, rounds, raced, winnersMax, refusal }: ConditionFinding): string => {
    switch (promise) {
      case 'holds':
        return `holds: in ${rounds} rounds of ${writers} writers at once, one won each`;
      case 'races':
        return `races: in ${raced} of ${rounds} rounds up to ${winnersMax} of ${writers} writers won`;
      case 'ignored':
        return 'is ignored';
      case 'refused':
        return `is refused (${refusal ?? 'without a reason'})`;
    }
  };
  return [
    { name: 'If-None-Match: *', ok: true, detail: `${say(ifNoneMatch)} at ${endpoint}` },
    { name: 'If-Match', ok: true, detail: `${say(ifMatch)} at ${endpoint}` },
  ];
}
