import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import type { Server } from '../../transport/server.ts';
import type { AgentConfig } from '../config.ts';
import { reportProject } from '../control-plane/control-plane.ts';
import { readRegistry, registryPath } from './registry.ts';
import { serverOf } from '../control-plane/server.ts';
import type { AgentState } from '../control-plane/state.ts';

/** How often an unchanged project is reported again, in milliseconds: the page shows when it was last seen. */
const REPORT_AGAIN_MS = 60_000;

/** Reports the projects that hooks and scripts of this machine register to the control plane, as the original's agent did. */
export class ReportedProjects {
  readonly #config: Pick<AgentConfig, 'dataDir'>;
  readonly #state: AgentState;
  readonly #server: Server;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #sent: { changedAt: number; at: number } | null = null;
  #problem: string | null = null;
  #isBusy = false;

  constructor(
    config: Pick<AgentConfig, 'dataDir' | 'heartbeatMs' | 'allowsPlainHttp'>,
    state: AgentState,
    log: Logger,
  ) {
    this.#config = config;
    this.#state = state;
    this.#server = serverOf(config, state);
    this.#log = log;
    this.#timer = setInterval(() => void this.#report(), config.heartbeatMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #report(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const changedAt = statSync(registryPath(this.#config.dataDir), { throwIfNoEntry: false })?.mtimeMs;
      const sent = this.#sent;
      const isDue = sent === null || sent.changedAt !== changedAt || Date.now() - sent.at >= REPORT_AGAIN_MS;
      if (changedAt === undefined || !isDue) return;
      const { enrolment } = this.#state;
      for (const { project_id, canonical_id } of readRegistry(this.#config.dataDir)) {
        const report = { node_id: enrolment.node_id, canonical_id, project_id };
        await reportProject(this.#server, enrolment.agent_key, report);
      }
      this.#sent = { changedAt, at: Date.now() };
      this.#problem = null;
    } catch (error) {
      // The next turn tries again. The warning is logged once, since a control plane may be away for days.
      const problem = errorMessage(error);
      if (problem !== this.#problem)
        this.#log.warn({ reason: problem }, 'registered projects are not reported');
      this.#problem = problem;
    } finally {
      this.#isBusy = false;
    }
  }
}
