import { pauseBeforeTry } from './pause.ts';

/** Remembers whether tries to reach the control plane succeed, and reports each change once. */
export class Outage {
  readonly #report: (problem: string | null) => void;
  /** When tries began to fail, by the monotonic clock in milliseconds; null while they succeed. */
  #failingSince: number | null = null;
  #problem: string | null = null;

  /** @param report called with why a try failed, and with null once one works again */
  constructor(report: (problem: string | null) => void) {
    this.#report = report;
  }

  /** Returns how long to wait before the next try, in milliseconds. */
  pauseMs(): number {
    const outage = this.#failingSince === null ? null : performance.now() - this.#failingSince;
    return pauseBeforeTry(outage, Math.random());
  }

  worked(): void {
    this.#failingSince = null;
    if (this.#problem === null) return;
    this.#problem = null;
    this.#report(null);
  }

  failed(problem: string): void {
    this.#failingSince ??= performance.now();
    if (this.#problem !== null) return;
    this.#problem = problem;
    this.#report(problem);
  }
}
