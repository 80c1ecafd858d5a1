import type { MemoryStatus, Space, SpaceNode, SpaceSync, WorkOutcome } from './memory.ts';
import { ONLINE_WITHIN_MS, type Node } from '../nodes/nodes.ts';

/**
 * Each node syncs each space at least every 10 minutes. After three of these without a success, a node no longer
 * counts as in sync (milliseconds).
 */
export const STALE_AFTER_MS = 30 * 60_000;

/**
 * How long a row may wait for its session without being a problem, in milliseconds: two intervals of 10 minutes, and
 * the sync after them.
 */
const ROWS_MAY_WAIT_MS = 25 * 60_000;

type DatabaseState = MemoryStatus['state'];
type SpaceState = SpaceNode['status'];

/** A state, and the sentence that explains it. Only `ready` and `in-step` may have no sentence. */
export interface Explained<S extends string> {
  readonly state: S;
  readonly detail: string;
}

/** What is known about one node in one space. `null` and absent both mean unknown. */
export interface SyncFacts {
  /** The reader's clock, epoch ms. */
  readonly now: number;
  /** When the control plane last got a heartbeat, epoch ms; absent when the node itself asks. */
  readonly heartbeatAt?: number | null;
  /** The result of the last recorded round; absent when the node itself asks. */
  readonly round?: {
    readonly status: 'new' | 'syncing' | 'in-step' | 'failed';
    readonly detail: string;
    readonly last_push_at: number | null;
    readonly last_pull_at: number | null;
  };
  /** The node's report about its database; null: it never reported. */
  readonly memory: Pick<MemoryStatus, 'state' | 'detail' | 'checkedAt' | 'heldDeletes'> | null;
  /** The node's report about its syncs in this space; absent from agents of older versions. */
  readonly sync?: SpaceSync | undefined;
}

/**
 * Decides the state of one node in one space, for the agent, the API, the page, the command line and the metrics. It
 * returns `in-step` only when the node is online, its database is readable, nothing is held, and the newest push,
 * merge and pull succeeded recently.
 */
export function syncState(facts: SyncFacts): Explained<SpaceState> {
  const { now, memory, sync, round, heartbeatAt } = facts;
  const broken = memory === null ? null : databaseProblem(memory, sync !== undefined);
  if (broken !== null) return broken;
  const failure = sync === undefined ? null : newestFailure(sync);
  if (failure !== null) {
    const { work, problem } = failure;
    const detail = `${FAILED_SENTENCE[work]} ${ago(ageOf(facts, problem.at))}: ${problem.message}`;
    return { state: problem.code === 'memory_guarded' ? 'held' : 'failed', detail };
  }
  if (round?.status === 'failed') return { state: 'failed', detail: round.detail || 'The last sync failed.' };
  const held = sync === undefined ? null : heldBack(facts, sync);
  if (held !== null) return { state: 'held', detail: held };
  const away = heartbeatAt === undefined ? null : describeSilence(heartbeatAt, now);
  if (away !== null) {
    // A node that never synced, or is syncing, is not in sync anyway: its own state is more precise.
    if (round?.status === 'new' || round?.status === 'syncing') return { state: round.status, detail: away };
    return { state: 'stale', detail: `${away} Start its agent.` };
  }
  if (round?.status === 'syncing') return { state: 'syncing', detail: round.detail || 'A sync runs.' };
  return byAge(facts);
}

/**
 * Returns a node's record in a space with its present state. Applying it twice changes nothing.
 * @param node the node itself; undefined when it was removed: its record then stays as it is
 */
export function withState(
  record: SpaceNode,
  space: Pick<Space, 'canonical_id' | 'aliases'>,
  node: Pick<Node, 'last_heartbeat' | 'memory'> | undefined,
  now: number,
): SpaceNode {
  const { last_push_at, last_pull_at } = record;
  const round = record.round ?? stateFromRecord(record);
  if (node === undefined) return record;
  const { memory, last_heartbeat: heartbeatAt } = node;
  const ids = [space.canonical_id, ...space.aliases];
  const sync = memory?.syncs?.find((each) => ids.includes(each.space));
  const { state, detail } = syncState({
    now,
    heartbeatAt,
    round: { ...round, last_push_at, last_pull_at },
    memory,
    sync,
  });
  return { ...record, status: state, detail, round };
}

/** Returns the result of the last round from a record whose state nobody has decided yet. */
function stateFromRecord({ status, detail }: SpaceNode): NonNullable<SpaceNode['round']> {
  return { status: status === 'held' || status === 'stale' ? 'failed' : status, detail };
}

/**
 * Decides the state of a node's memory: its database, and its syncs in all its spaces. `ready` means that the
 * database is usable and every space is in sync.
 * @param database the database as it was just checked; `ready` when it could be read
 */
export function memoryState(facts: {
  readonly now: number;
  readonly database: Pick<MemoryStatus, 'state' | 'detail' | 'checkedAt' | 'heldDeletes'>;
  readonly syncs: readonly SpaceSync[];
}): { state: DatabaseState; detail: string | null } {
  const { now, database, syncs } = facts;
  if (database.state !== 'ready') {
    return { state: database.state, detail: database.detail || DATABASE_SENTENCE[database.state] };
  }
  const damaged = syncs.map(newestFailure).find((each) => each?.problem.code === 'memory_index_damaged');
  if (damaged != null) return { state: 'index-damaged', detail: damaged.problem.message };
  const found = syncs.map((sync) => ({ sync, ...syncState({ now, memory: database, sync }) }));
  for (const state of ['failed', 'held', 'stale', 'syncing', 'new'] as const) {
    const worst = found.find((each) => each.state === state);
    if (worst === undefined) continue;
    return { state: MEMORY_STATE[state], detail: `Space ${worst.sync.name}: ${worst.detail}` };
  }
  const held = heldDeletions(database);
  return held === null ? { state: 'ready', detail: null } : { state: 'held', detail: held.detail };
}

/**
 * Decides the state of a node's memory for a reader whose report may be old: `ready` then does not last.
 * @param told what the node reported; null: nothing yet
 * @param heardAt when the report came in, by the reader's clock, epoch ms
 */
export function memoryStateAt(
  told: MemoryStatus | null,
  heardAt: number | null,
  now: number,
): { state: DatabaseState; detail: string | null } {
  if (told === null || heardAt === null) {
    return { state: 'starting', detail: 'The node has not reported its memory yet.' };
  }
  const away = describeSilence(heardAt, now);
  const { state, detail } = told;
  if (state !== 'ready')
    return {
      state,
      detail: [detail || DATABASE_SENTENCE[state], ...(away === null ? [] : [away])].join(' '),
    };
  const held = heldDeletions(told);
  if (held !== null) return { state: 'held', detail: held.detail };
  return away === null ? { state, detail } : { state: 'stale', detail: `${away} Its memory was ready then.` };
}

/**
 * Decides the state of a node for its own agent: its memory, and whether the control plane answers. `membridge
 * status` exits with 0 only when this is well.
 * @param heartbeat when one was last answered, epoch ms, and why the last one was not
 */
export function agentState(facts: {
  readonly now: number;
  readonly memory: MemoryStatus;
  readonly heartbeat: { readonly lastOk: number | null; readonly problem: string | null };
}): { isWell: boolean; state: DatabaseState; detail: string } {
  const { now, memory, heartbeat } = facts;
  const { state, detail } =
    memory.state === 'ready'
      ? memoryState({ now, database: memory, syncs: memory.syncs ?? [] })
      : { state: memory.state, detail: memory.detail || DATABASE_SENTENCE[memory.state] };
  if (state !== 'ready') return { isWell: false, state, detail: detail ?? DATABASE_SENTENCE[state] };
  if (now - memory.checkedAt > STALE_AFTER_MS) {
    const looked = `The agent last checked the claude-mem database ${ago(now - memory.checkedAt)}; a sync may be running.`;
    return { isWell: false, state: 'stale', detail: looked };
  }
  if (heartbeat.problem !== null || heartbeat.lastOk === null) {
    return {
      isWell: false,
      state,
      detail: heartbeat.problem ?? 'The control plane has not answered a heartbeat yet.',
    };
  }
  return { isWell: true, state, detail: '' };
}

/** Returns whether a state needs no attention, and nothing is still to be done. */
export function isWell(state: DatabaseState | SpaceState): boolean {
  return state === 'ready' || state === 'in-step';
}

const MEMORY_STATE = {
  failed: 'failing',
  held: 'held',
  stale: 'stale',
  syncing: 'starting',
  new: 'starting',
} as const satisfies Record<Exclude<SpaceState, 'in-step'>, DatabaseState>;

/** The sentence for a state of a database, when the node reports none. */
const DATABASE_SENTENCE: Record<DatabaseState, string> = {
  ready: '',
  missing: 'There is no claude-mem database on this node.',
  corrupt: 'The claude-mem database is damaged.',
  'unknown-schema': 'This version of Membridge does not know the tables of the claude-mem database.',
  locked: 'Another program keeps the claude-mem database locked.',
  starting: 'The agent is starting and has not checked the claude-mem database yet.',
  unreadable: 'The claude-mem database cannot be read or written.',
  'index-damaged': 'A search index of the claude-mem database is damaged.',
  held: 'Deletions are held back until a person confirms them.',
  failing: 'The last sync failed.',
  stale: 'The last successful sync is too long ago.',
};

/** States of a node's memory that come from its spaces: each space reports its own problem. */
const FROM_SPACES: ReadonlySet<DatabaseState> = new Set([
  'ready',
  'index-damaged',
  'held',
  'failing',
  'stale',
  'starting',
]);

/**
 * Returns the problem that keeps every space of a node from being in sync.
 * @param isKnown whether the node reported how its syncs in the space ended; `memory` then concerns its other spaces
 */
function databaseProblem(
  memory: NonNullable<SyncFacts['memory']>,
  isKnown: boolean,
): Explained<'failed' | 'held' | 'stale'> | null {
  const { state } = memory;
  const detail = memory.detail || DATABASE_SENTENCE[state];
  if (!FROM_SPACES.has(state) || state === 'index-damaged') return { state: 'failed', detail };
  const held = heldDeletions(memory);
  if (held !== null) return held;
  if (isKnown) return null;
  if (state === 'failing') return { state: 'failed', detail };
  return state === 'held' || state === 'stale' ? { state, detail } : null;
}

function heldDeletions({ heldDeletes = 0 }: { heldDeletes?: number | undefined }): Explained<'held'> | null {
  if (heldDeletes === 0) return null;
  const gone = heldDeletes === 1 ? '1 memory is gone' : `${heldDeletes} memories are gone`;
  const detail = `${gone} from the claude-mem database, and nothing is sent until a person answers. Deleted on purpose: membridge deletes approve. To get them back: membridge deletes restore.`;
  return { state: 'held', detail };
}

/** Returns why nothing newer is known about a node; null while it reports. */
function describeSilence(heartbeatAt: number | null, now: number): string | null {
  if (isFresh(heartbeatAt, now, ONLINE_WITHIN_MS)) return null;
  return heartbeatAt === null
    ? 'The node has never reported.'
    : `The node last reported ${ago(now - heartbeatAt)}.`;
}

/**
 * Returns the age of a moment of the node's clock: by that clock up to its report, and by the reader's clock since
 * then. So a wrong clock makes nothing look old or new.
 */
function ageOf({ now, memory, heartbeatAt }: SyncFacts, at: number): number {
  const isTold = memory !== null && heartbeatAt !== undefined && heartbeatAt !== null;
  return isTold ? Math.max(0, memory.checkedAt - at) + Math.max(0, now - heartbeatAt) : now - at;
}

type Work = 'push' | 'merge' | 'pull';

const FAILED_SENTENCE: Record<Work, string> = {
  push: 'Sending failed',
  merge: 'Merging what other nodes sent failed',
  pull: 'Fetching failed',
};

/** Returns the newest failure that no success of the same work followed. */
function newestFailure(sync: SpaceSync): { work: Work; problem: NonNullable<WorkOutcome['failure']> } | null {
  let newest: ReturnType<typeof newestFailure> = null;
  for (const work of ['push', 'merge', 'pull'] as const) {
    const { failure, ok_at: okAt } = sync[work];
    if (failure === null || (okAt !== null && okAt > failure.at)) continue;
    if (newest === null || failure.at > newest.problem.at) newest = { work, problem: failure };
  }
  return newest;
}

function heldBack(facts: SyncFacts, sync: SpaceSync): string | null {
  const { problems, staged, held, waiting, waiting_since: since, waiting_reason: reason } = sync;
  if (problems.length > 0) {
    const more = problems.length === 1 ? '' : `, and ${problems.length - 1} more`;
    return `Not everything that other nodes sent could be used: ${problems[0]}${more}.`;
  }
  if (staged > 0) return `${counted(staged, 'segment')} of other nodes wait to be merged.`;
  if (held > 0) {
    return `${counted(held, 'segment')} of nodes that this node does not trust are held. Accept or ignore these nodes on the page.`;
  }
  if (waiting > 0 && (since === null || ageOf(facts, since) > ROWS_MAY_WAIT_MS)) {
    const oldest = since === null ? '' : `, the oldest since ${ago(ageOf(facts, since))}`;
    return `${counted(waiting, 'row')} of other nodes cannot be merged yet${oldest}${reason === null ? '' : `: ${reason}`}.`;
  }
  return null;
}

function byAge(facts: SyncFacts): Explained<SpaceState> {
  const { now, sync, round } = facts;
  if (sync === undefined) {
    const { last_push_at: pushedAt = null, last_pull_at: pulledAt = null } = round ?? {};
    if (pushedAt === null || pulledAt === null) return notYet(pushedAt === null, null);
    return byFetch(now - pulledAt, round);
  }
  if (sync.push.ok_at === null || sync.pull.ok_at === null) {
    return notYet(sync.push.ok_at === null, ageOf(facts, sync.since));
  }
  return byFetch(ageOf(facts, sync.pull.ok_at), round);
}

function notYet(isUnsent: boolean, age: number | null): Explained<'new' | 'stale'> {
  const what = isUnsent ? 'sent anything' : 'fetched anything';
  const since = age === null ? '' : ` It joined ${ago(age)}.`;
  const state = age !== null && age > STALE_AFTER_MS ? 'stale' : 'new';
  return { state, detail: `The node has not ${what} in this space yet.${since}` };
}

function byFetch(age: number, round: SyncFacts['round']): Explained<'in-step' | 'stale'> {
  if (age > STALE_AFTER_MS) return { state: 'stale', detail: `The last successful fetch was ${ago(age)}.` };
  return { state: 'in-step', detail: round?.status === 'in-step' ? round.detail : '' };
}

const isFresh = (at: number | null, now: number, within: number): boolean =>
  at !== null && now - at <= within;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** Formats a length of time: "20 s ago", "3 h ago". A clock that is a little behind gives "just now". */
function ago(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 5) return 'just now';
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}
