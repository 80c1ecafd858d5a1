import { z } from 'zod';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import {
  WorkOutcome,
  type PullResult,
  type PushResult,
  type SpaceConfig,
  type SpaceSync,
} from '../contract/memory/memory.ts';
import { MERGE_ONLY } from './error-effects.ts';
import type { Ledger } from './ledger/ledger.ts';

type Work = 'push' | 'merge' | 'pull';

/** Longest failure message that is kept, in characters. */
const MAX_MESSAGE_CHARS = 1_000;

/**
 * Rows that wait for this reason are not a problem: the worker is still in the session, and its own end of it
 * counts.
 */
const IN_USE = 'its session is in use here';

const Kept = z.object({
  since: z.number(),
  push: WorkOutcome,
  merge: WorkOutcome,
  pull: WorkOutcome,
  problems: z.array(z.string()),
});
type Kept = z.infer<typeof Kept>;

const NO_OUTCOME = { ok_at: null, failure: null };

/**
 * Remembers how each space's pushes, merges and pulls ended, so that the status never reports success while
 * work fails. The ledger keeps a copy, so that a failure survives a restart of the agent.
 */
export class Outcomes {
  readonly #now: () => number;
  readonly #explain: (error: unknown) => unknown;
  readonly #open: () => Ledger;
  readonly #spaces = new Map<string, { config: SpaceConfig; kept: Kept; isRead: boolean }>();

  /**
   * @param engine.now this node's clock, epoch milliseconds
   * @param engine.explain translates an error of SQLite or of a file
   * @param engine.open opens the ledger
   */
  constructor(engine: { now: () => number; explain: (error: unknown) => unknown; open: () => Ledger }) {
    this.#now = engine.now;
    this.#explain = engine.explain;
    this.#open = engine.open;
  }

  /** Runs a push or pull and records how it ended. Records nothing if the caller canceled it. */
  async track<T extends PushResult | PullResult>(
    config: SpaceConfig,
    work: 'push' | 'pull',
    signal: AbortSignal,
    run: () => Promise<T>,
  ): Promise<T> {
    try {
      const result = await run();
      this.#succeeded(config, work, 'problems' in result ? result.problems : undefined);
      return result;
    } catch (error) {
      const meaning = this.#explain(error);
      if (!signal.aborted) this.#failed(config, work, meaning);
      throw meaning;
    } finally {
      this.#keep(config);
    }
  }

  /**
   * Merges what peers sent, as part of a push. Records a failure instead of throwing it when this node's own
   * memories are still readable.
   * @returns that failure, or null
   */
  async mergeApart(config: SpaceConfig, merge: () => Promise<void>): Promise<PushResult['unmerged'] | null> {
    try {
      await merge();
      this.#succeeded(config, 'merge');
      return null;
    } catch (error) {
      const meaning = this.#explain(error);
      if (!(meaning instanceof MembridgeError) || !MERGE_ONLY.has(meaning.code)) throw meaning;
      return this.#failed(config, 'merge', meaning);
    }
  }

  /** @param problems what a pull could not use, by the sending node */
  #succeeded(config: SpaceConfig, work: Work, problems?: PullResult['problems']): void {
    const { kept } = this.#of(config);
    kept[work] = { ok_at: this.#now(), failure: null };
    if (problems === undefined) return;
    kept.problems = problems.map(({ node, problem }) => toStorableText(`${node}: ${problem}`));
    // A pull also merges everything that a push could not.
    kept.merge = { ok_at: this.#now(), failure: null };
  }

  /** @returns what was recorded */
  #failed(config: SpaceConfig, work: Work, error: unknown): { code: string; message: string } {
    const { kept } = this.#of(config);
    const code = error instanceof MembridgeError ? error.code : 'internal';
    const message = toStorableText(errorMessage(error));
    const at = this.#now();
    kept[work] = {
      ok_at: kept[work].ok_at,
      failure: { code, message, at, since: kept[work].failure?.since ?? at },
    };
    return { code, message };
  }

  /**
   * Saves what is known of a space to the ledger, for the next process. Ignores failures: the outcome to save
   * may be that the ledger cannot be opened or written.
   */
  #keep(config: SpaceConfig): void {
    try {
      const ledger = this.#open();
      this.#recall(ledger, config.cid);
      ledger.setMeta(outcomesEntry(config.cid), JSON.stringify(this.#of(config).kept));
    } catch {
      return;
    }
  }

  /**
   * Returns the status of each space.
   * @param ledger null while it cannot be opened: then only outcomes are known
   * @param configs the spaces to report; when absent, all that were synced or watched
   */
  describe(ledger: Ledger | null, configs?: readonly SpaceConfig[]): SpaceSync[] {
    for (const config of configs ?? []) this.#of(config);
    const wanted = configs === undefined ? null : new Set(configs.map(({ cid }) => cid));
    return [...this.#spaces.values()]
      .filter(({ config }) => wanted === null || wanted.has(config.cid))
      .map(({ config }) => {
        if (ledger !== null) this.#recall(ledger, config.cid);
        const { kept } = this.#of(config);
        return {
          space: config.cid,
          name: config.projectId,
          ...kept,
          ...(ledger === null ? NOTHING_HELD : countHeldIn(ledger, config.cid)),
        };
      });
  }

  #of(config: SpaceConfig): { config: SpaceConfig; kept: Kept; isRead: boolean } {
    let space = this.#spaces.get(config.cid);
    if (space === undefined) {
      const kept: Kept = {
        since: this.#now(),
        push: NO_OUTCOME,
        merge: NO_OUTCOME,
        pull: NO_OUTCOME,
        problems: [],
      };
      space = { config, kept, isRead: false };
      this.#spaces.set(config.cid, space);
    }
    space.config = config;
    return space;
  }

  /** Loads what an earlier process recorded, where this process has done nothing yet. */
  #recall(ledger: Ledger, cid: string): void {
    const space = this.#spaces.get(cid);
    if (space === undefined || space.isRead) return;
    space.isRead = true;
    const text = ledger.meta(outcomesEntry(cid));
    const read = Kept.safeParse(typeof text === 'string' ? parseOrNull(text) : null);
    if (!read.success) return;
    const { kept } = space;
    for (const work of ['push', 'merge', 'pull'] as const) {
      const isDone = kept[work].ok_at !== null || kept[work].failure !== null;
      if (!isDone) kept[work] = read.data[work];
    }
    kept.since = Math.min(kept.since, read.data.since);
    if (kept.pull.ok_at === read.data.pull.ok_at) kept.problems = read.data.problems;
  }
}

const outcomesEntry = (cid: string): string => `outcomes:${cid}`;

/**
 * Removes NUL and lone surrogates, which PostgreSQL rejects; a message may contain project names with them.
 */
const toStorableText = (text: string): string =>
  text.replaceAll('\0', '\uFFFD').slice(0, MAX_MESSAGE_CHARS).toWellFormed();

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const NOTHING_HELD = { staged: 0, held: 0, waiting: 0, waiting_since: null, waiting_reason: null };

/** Returns what the ledger holds of a space that could not be merged. */
function countHeldIn(
  ledger: Ledger,
  cid: string,
): typeof NOTHING_HELD | Omit<SpaceSync, keyof Kept | 'space' | 'name'> {
  const space = ledger.db.prepare('SELECT id FROM space WHERE cid = ?').pluck().get(cid) as
    number | undefined;
  if (space === undefined) return NOTHING_HELD;
  const inState = ledger.db.prepare('SELECT count(*) FROM segment WHERE space = ? AND state = ?').pluck();
  const waiting = ledger.db
    .prepare(
      `SELECT count(*) AS waiting, min(since) AS waiting_since, min(reason) AS waiting_reason
       FROM waiting WHERE space = ? AND parked = 0 AND reason <> ?`,
    )
    .get(space, IN_USE) as Pick<SpaceSync, 'waiting' | 'waiting_since' | 'waiting_reason'>;
  return {
    ...waiting,
    waiting_reason: waiting.waiting_reason === null ? null : toStorableText(waiting.waiting_reason),
    staged: inState.get(space, 'staged') as number,
    held: inState.get(space, 'held') as number,
  };
}
