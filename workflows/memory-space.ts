import {
  ActivityFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setHandler,
  sleep,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { MemoryActivities } from '../activities/node/memory.ts';
import type { SpaceConfig } from '../contract/memory/memory.ts';
import { nodeQueue } from '../contract/names.ts';
import type { MemorySpaceInput, WaveResult } from '../contract/workflows.ts';
import { control } from './control.ts';
import { memorySpaceByWorkflows } from './memory-space-by-workflows.ts';
import {
  closeSpace,
  configureSpace,
  nodeNoticed,
  nodePushed,
  nodeReturned,
  nodeServed,
  spaceState,
  useWaves,
} from './memory-space-messages.ts';
import { Waves, type Work } from './waves.ts';

/**
 * How often every live node checks for news without a signal, in milliseconds; signals and heads may be lost.
 */
const CATCH_UP_MS = 10 * 60_000;
/** Catch-ups per day. Each node lists all segments at one of them; the nodes are spread over all of them. */
const CATCH_UPS_PER_DAY = 144;
/** Maximum number of nodes working at the same time. */
const MAX_CONCURRENT_NODES = 200;
/** How long a failed node rests, unless its own workflow syncs it before. */
const REST_AFTER_FAILURE = '1 minute';
/**
 * Maximum number of results per call, and the age in milliseconds at which results are recorded while nodes
 * still work.
 */
const MAX_RESULTS_PER_RECORD = 50;
const RECORD_AFTER_MS = 2_000;
/**
 * From this many events on no node begins new work, so that the workflow can continue as new. Temporal ends a
 * workflow at 51,200.
 */
const MAX_HISTORY_EVENTS = 20_000;
/**
 * Up to this many nodes, each push is passed on at once. With more, pushes are gathered for some milliseconds
 * per node, up to a maximum.
 */
const MAX_UNGATHERED_NODES = 10;
const GATHER_MS_PER_NODE = 3;
const MAX_GATHER_MS = 5_000;

/**
 * One workflow per space. When claude-mem wrote something on a node, that node pushes and every other live
 * node pulls, through activities on the nodes' own queues. Requests that arrive while a node works are served
 * by its next activity. A node that is away, fails or takes longer than a minute gets its own workflow
 * (syncMemory), which retries. Every live node also checks for news periodically. Continues as new when its
 * history grows long.
 *
 * What may interleave here, and why it is safe: signal handlers only add to sets, or set flags, without
 * waiting. The loop empties a set before it awaits anything, so a signal that arrives in between remains for
 * the next turn. `Waves` runs at most one activity per node.
 */
export async function memorySpace(input: MemorySpaceInput): Promise<void> {
  if (input.waves !== true) {
    await memorySpaceByWorkflows(input);
    return;
  }
  await new MemorySpace(input).run();
}

class MemorySpace {
  #space: SpaceConfig;
  #closed = false;
  readonly #noticed: Set<string>;
  readonly #pushed: Set<string>;
  readonly #returned: Set<string>;
  /**
   * Whether every live node syncs through its own workflow: the space is new, or its configuration changed.
   */
  #mustAskEverybody: boolean;
  #catchUps: number;
  #isCatchUpDue = false;
  /** Number of live nodes at the last look. */
  #members = 0;
  readonly #results: WaveResult[] = [];
  readonly #waves: Waves<SpaceConfig>;

  constructor(input: MemorySpaceInput) {
    this.#space = input.space;
    this.#noticed = new Set(input.noticed);
    this.#pushed = new Set(input.pushed);
    this.#returned = new Set(input.pending);
    this.#mustAskEverybody = input.catchUp ?? workflowInfo().continuedFromExecutionRunId === undefined;
    this.#catchUps = input.catchUps ?? 0;
    this.#waves = new Waves({
      serve: (node, work) => this.#serve(node, work),
      rest: () => sleepUnlessCanceled(REST_AFTER_FAILURE),
      atOnce: MAX_CONCURRENT_NODES,
    });
    setHandler(nodeNoticed, (node) => void this.#noticed.add(node));
    setHandler(nodePushed, ({ node }) => void this.#pushed.add(node));
    setHandler(nodeReturned, (node) => void this.#returned.add(node));
    setHandler(nodeServed, (node) => this.#waves.wake(node));
    setHandler(useWaves, () => undefined);
    setHandler(closeSpace, () => {
      this.#closed = true;
    });
    setHandler(configureSpace, (config) => {
      if (JSON.stringify(config) !== JSON.stringify(this.#space)) this.#mustAskEverybody = true;
      this.#space = config;
      this.#closed = false;
    });
    setHandler(spaceState, () => ({
      space: this.#space,
      pushed: [...this.#pushed],
      returned: [...this.#returned],
    }));
  }

  async run(): Promise<void> {
    void this.#scheduleCatchUp();
    while (!this.#closed) {
      await condition(() => this.#hasNews || this.#mustContinue);
      if (this.#closed) break;
      await this.#askWorkflows();
      await this.#askNoticed();
      await this.#askOthers();
      if (this.#mustRecord) await this.#record();
      if (this.#mustContinue) await this.#continue();
    }
    this.#waves.stop();
  }

  get #hasNews(): boolean {
    return (
      this.#closed ||
      this.#mustAskEverybody ||
      this.#isCatchUpDue ||
      this.#mustRecord ||
      [this.#noticed, this.#pushed, this.#returned].some((nodes) => nodes.size > 0)
    );
  }

  /** Whether to continue as new: when no node works, or before the history becomes too long. */
  get #mustContinue(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested && (this.#waves.isIdle || historyLength > MAX_HISTORY_EVENTS);
  }

  /** Whether to record results: when no node works, or when they are many or old. */
  get #mustRecord(): boolean {
    const [first] = this.#results;
    if (first === undefined) return false;
    const isOld = Date.now() - first.finishedAt > RECORD_AFTER_MS;
    return this.#waves.isIdle || isOld || this.#results.length >= MAX_RESULTS_PER_RECORD;
  }

  /** Marks the next catch-up as due after a pause. Random pauses spread the catch-ups of different spaces. */
  async #scheduleCatchUp(): Promise<void> {
    const isOver = await sleepUnlessCanceled(Math.round(CATCH_UP_MS * (0.9 + 0.2 * Math.random())));
    if (isOver) this.#isCatchUpDue = true;
  }

  /** Makes nodes sync through their own workflows: all, or those that came back. */
  async #askWorkflows(): Promise<void> {
    const nodes = emptySet(this.#returned);
    if (this.#mustAskEverybody) {
      this.#mustAskEverybody = false;
      emptySet(this.#noticed);
      emptySet(this.#pushed);
      await control.syncLiveNodes({ space: this.#space });
    } else if (nodes.length > 0) await control.syncNodes({ space: this.#space, nodes });
  }

  /** Makes the nodes push on which claude-mem wrote something. */
  async #askNoticed(): Promise<void> {
    const nodes = emptySet(this.#noticed);
    if (nodes.length === 0) return;
    await this.#ask({ only: nodes }, () => ({ push: true, pull: false, full: false }));
  }

  /** Makes live nodes pull: all for a catch-up, and all but the source when a single node pushed. */
  async #askOthers(): Promise<void> {
    if (this.#pushed.size === 0 && !this.#isCatchUpDue) return;
    if (!this.#isCatchUpDue && this.#members > MAX_UNGATHERED_NODES) {
      const gatherMs = Math.min(this.#members * GATHER_MS_PER_NODE, MAX_GATHER_MS);
      await condition(() => this.#closed, gatherMs);
    }
    const sources = emptySet(this.#pushed);
    const isCatchUp = this.#isCatchUpDue;
    if (isCatchUp) {
      this.#isCatchUpDue = false;
      this.#catchUps += 1;
      void this.#scheduleCatchUp();
    }
    const turn = this.#catchUps % CATCH_UPS_PER_DAY;
    await this.#ask({ only: null }, (node) => {
      if (!isCatchUp && sources.length === 1 && sources[0] === node) return null;
      const full = isCatchUp && spreadNumberOf(node) % CATCH_UPS_PER_DAY === turn;
      return { push: full, pull: true, full };
    });
  }

  /** Gives work to nodes, page by page, so that no event of the history grows with the number of nodes. */
  async #ask(
    { only }: { only: string[] | null },
    workOf: (node: string) => Omit<Work<SpaceConfig>, 'config'> | null,
  ): Promise<void> {
    for (let after: string | null = ''; after !== null && !this.#closed;) {
      const page = await control.planWave({ cid: this.#space.cid, only, after });
      if (page.isGone) {
        this.#closed = true;
        return;
      }
      if (only === null) this.#members = page.members;
      for (const { space: config, nodes } of page.groups) {
        for (const node of nodes) {
          const work = workOf(node);
          if (work !== null) this.#waves.ask(node, { ...work, config });
        }
      }
      after = page.next;
    }
  }

  async #serve(node: string, { push, pull, full, config }: Work<SpaceConfig>): Promise<boolean> {
    const startedAt = Date.now();
    const done: Pick<WaveResult, 'push' | 'pull'> = { push: null, pull: null };
    let isDone = true;
    try {
      if (push) {
        done.push = await onNode(node, `send new memories of ${config.projectId}`).pushMemory(config);
        if (done.push.rows > 0) this.#pushed.add(node);
      }
      if (pull) {
        const activities = onNode(node, `merge new memories of ${config.projectId}`);
        done.pull = await activities.pullMemory({ space: config, full });
      }
    } catch (error) {
      if (isCancellation(error)) return true;
      if (!(error instanceof ActivityFailure)) throw error;
      isDone = false;
      await control.syncNodes({
        space: this.#space,
        nodes: [node],
        trigger: triggerOf({ push, pull }),
        tell: true,
      });
    }
    if (done.push !== null || done.pull !== null) {
      const jobId = `job_${uuid4().replaceAll('-', '').slice(0, 16)}`;
      const trigger = triggerOf({ push, pull });
      this.#results.push({ jobId, node, trigger, ...done, startedAt, finishedAt: Date.now() });
    }
    return isDone;
  }

  async #record(): Promise<void> {
    const { workflowId, runId } = workflowInfo();
    while (this.#results.length > 0) {
      const results = this.#results.splice(0, MAX_RESULTS_PER_RECORD);
      await control.recordWave({ space: this.#space, workflowId, runId, results });
    }
  }

  async #continue(): Promise<void> {
    this.#waves.stop();
    await condition(() => this.#waves.isIdle && allHandlersFinished());
    await this.#record();
    if (this.#closed) return;
    const { push, pull } = this.#waves.due;
    await continueAsNew<typeof memorySpace>({
      space: this.#space,
      waves: true,
      noticed: [...new Set([...this.#noticed, ...push])],
      pushed: [...this.#pushed],
      // A node that still has to pull syncs through its own workflow.
      catchUp: this.#mustAskEverybody,
      pending: [...new Set([...this.#returned, ...pull])],
      catchUps: this.#catchUps,
    });
  }
}

/**
 * Sleeps.
 * @returns false when the workflow was canceled during it. Callers do not await it, so an error would be
 * unhandled.
 */
async function sleepUnlessCanceled(duration: number | '1 minute'): Promise<boolean> {
  try {
    await sleep(duration);
    return true;
  } catch (error) {
    if (!isCancellation(error)) throw error;
    return false;
  }
}

/**
 * Empties a set.
 * @returns its former contents
 */
function emptySet(nodes: Set<string>): string[] {
  const taken = [...nodes];
  nodes.clear();
  return taken;
}

/** Returns a number from a node's name that spreads nodes over the catch-ups of a day. */
function spreadNumberOf(node: string): number {
  let sum = 7;
  for (let at = 0; at < node.length; at += 1) sum = (sum * 31 + node.charCodeAt(at)) % 1_000_003;
  return sum;
}

const triggerOf = ({ push, pull }: { push: boolean; pull: boolean }): WaveResult['trigger'] =>
  push && pull ? 'catch-up' : push ? 'noticed' : 'fan-out';

/** Returns a node's activities, with one try. A node that is away or takes longer gets its own workflow. */
function onNode(node: string, summary: string): MemoryActivities {
  return proxyActivities<MemoryActivities>({
    taskQueue: nodeQueue(node),
    scheduleToStartTimeout: '10 seconds',
    startToCloseTimeout: '1 minute',
    heartbeatTimeout: '10 seconds',
    retry: { maximumAttempts: 1 },
    summary,
  });
}
