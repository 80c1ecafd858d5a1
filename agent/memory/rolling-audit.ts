import { statSync } from 'node:fs';
import type { MemoryEngine } from '../../memory/engine.ts';

/** How long one turn of the rolling audit takes, in milliseconds (plus at most one page). */
const TURN_MS = 1;

/** After a turn of 1 ms the audit rests 99 ms: it takes at most 1 % of the time. */
const REST_FACTOR = 99;

/** How often the newest rows are compared while commits arrive, in milliseconds. */
const DAY_EVERY_MS = 30_000;

/**
 * Finds changes and deletions in the background: compares the newest rows every 30 s, and all rows a little at a
 * time. Rests as long as nothing was committed to the database since the last complete lap.
 */
export class RollingAudit {
  readonly #engine: Pick<MemoryEngine, 'audit' | 'auditFor' | 'forgetNotice'>;
  readonly #path: string;
  /** The state of the file when the present lap began; null for a lap that began before this process, or for none. */
  #lap: string | null = null;
  /**
   * Whether a lap is in progress. The first one may continue a lap of another process, so it proves nothing about the
   * whole.
   */
  #isOnLap = true;
  #audited: string | null = null;
  #compared: string | null = null;
  #nextTurn = 0;
  #nextDay = 0;

  /** @param path claude-mem's database */
  constructor(engine: Pick<MemoryEngine, 'audit' | 'auditFor' | 'forgetNotice'>, path: string) {
    this.#engine = engine;
    this.#path = path;
  }

  /**
   * Runs a turn if one is due.
   * @param now a clock that only goes forward, in milliseconds
   * @returns how long it worked, in milliseconds; 0 when nothing was due
   * @throws MembridgeError memory_* as for a push
   */
  async tick(now: number): Promise<number> {
    if (now < this.#nextTurn) return 0;
    const stand = readFileState(this.#path);
    const began = performance.now();
    if (now >= this.#nextDay && stand !== this.#compared) {
      this.#compared = stand;
      this.#nextDay = now + DAY_EVERY_MS;
      await this.#compareNewest();
    } else {
      if (!this.#isOnLap && stand === this.#audited) return 0;
      await this.#continueLap(stand);
    }
    const worked = performance.now() - began;
    this.#nextTurn = now + worked * REST_FACTOR;
    return worked;
  }

  async #compareNewest(): Promise<void> {
    const call = { signal: new AbortController().signal, progress: () => undefined };
    const { changed, deleted } = await this.#engine.audit(call, { deep: false });
    if (changed + deleted > 0) this.#engine.forgetNotice();
  }

  async #continueLap(stand: string): Promise<void> {
    if (!this.#isOnLap) {
      this.#isOnLap = true;
      this.#lap = stand;
    }
    if (!(await this.#engine.auditFor(TURN_MS))) return;
    this.#audited = this.#lap;
    this.#isOnLap = false;
  }
}

/** Returns the size and time of the database and of its write-ahead log, which change with every commit. Takes some 10 µs. */
function readFileState(path: string): string {
  return [path, `${path}-wal`]
    .map((file) => {
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? 'none' : `${stat.ino}/${stat.size}/${stat.mtimeNs}`;
    })
    .join(' ');
}
