import type { CloneProgress } from '../contract/projects/projects.ts';

/** `Receiving objects:  45% (450/1000), 1.20 MiB | 300.00 KiB/s`, or `remote: Counting objects: 12`. */
const PROGRESS =
  /^(?:remote: )?([A-Z][a-z]+(?: [a-z]+)*): +(?:(\d{1,3})% \(\d+\/\d+\)|\d+)(?:, ([\d.]+) (bytes|KiB|MiB|GiB|TiB))?/;

/** Characters of a line that has not ended which are kept. */
const LONGEST_LINE = 1_000;

const UNITS: Record<string, number> = { bytes: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** Whether a line of git's stderr only tells how far it is. */
export function isProgress(line: string): boolean {
  return PROGRESS.test(line);
}

/** Reads git's own progress out of its stderr, piece by piece as it comes. */
export class ProgressReader {
  readonly #tell: (progress: CloneProgress) => void;
  #rest = '';
  /** Of the transfers before this one (of submodules, say). */
  #before = 0;
  #current = 0;

  constructor(tell: (progress: CloneProgress) => void) {
    this.#tell = tell;
  }

  /** Takes the next piece of stderr. Progress is told for each whole line, ended by a newline or a carriage return. */
  take(text: string): void {
    const lines = (this.#rest + text).split(/[\r\n]/);
    // A server that never ends a line must not fill our memory; progress is short.
    this.#rest = (lines.pop() ?? '').slice(-LONGEST_LINE);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const [, phase, percent, amount, unit] = PROGRESS.exec(line) ?? [];
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
