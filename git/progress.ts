import type { CloneProgress } from '../contract/projects/projects.ts';

/** `Receiving objects:  45% (450/1000), 1.20 MiB | 300.00 KiB/s`, or `remote: Counting objects: 12`. */
const PROGRESS_LINE =
  /^(?:remote: )?([A-Z][a-z]+(?: [a-z]+)*): +(?:(\d{1,3})% \(\d+\/\d+\)|\d+)(?:, ([\d.]+) (bytes|KiB|MiB|GiB|TiB))?/;

/** Maximum number of characters stored of an unfinished line. */
const MAX_LINE_CHARS = 1_000;

const UNITS: Record<string, number> = { bytes: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** Returns whether a line of git's stderr only reports progress. */
export function isProgress(line: string): boolean {
  return PROGRESS_LINE.test(line);
}

/** Parses git's progress from its stderr, chunk by chunk. */
export class ProgressReader {
  readonly #tell: (progress: CloneProgress) => void;
  #rest = '';
  /** Bytes of earlier transfers, for example of submodules. */
  #before = 0;
  #current = 0;

  constructor(tell: (progress: CloneProgress) => void) {
    this.#tell = tell;
  }

  /**
   * Takes the next chunk of stderr. Reports progress for each complete line, ended by a newline or a carriage
   * return.
   */
  take(text: string): void {
    const lines = (this.#rest + text).split(/[\r\n]/);
    // A server that never ends a line must not fill our memory; progress lines are short.
    this.#rest = (lines.pop() ?? '').slice(-MAX_LINE_CHARS);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const [, phase, percent, amount, unit] = PROGRESS_LINE.exec(line) ?? [];
    if (phase === undefined) return;
    if (amount !== undefined) {
      const bytes = Math.round(Number(amount) * (UNITS[unit ?? ''] ?? 1));
      if (bytes < this.#current) this.#before += this.#current;
      this.#current = bytes;
    }
    this.#tell({
      phase: phase.toLowerCase().slice(0, 64),
      percent: percent === undefined ? null : Math.min(100, Number(percent)),
      bytes: this.#before + this.#current,
    });
  }
}
