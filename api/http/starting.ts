import express, { type Express } from 'express';
import { MembridgeError } from '../../contract/errors.ts';
import type { Config } from '../config.ts';
import { redirectToHttps, requireOwnHost, securityHeaders } from './guards.ts';
import { handleErrors, sendProblem } from './problems.ts';
import type { Logger } from 'pino';
import { serviceName } from '../health/own-health.ts';
import { VERSION } from '../version.ts';

/** How long a caller should wait before it asks again, in seconds. */
const RETRY_AFTER_SECONDS = 2;

/** Holds what a starting process waits for. */
export class Starting {
  #part = 'its settings';
  #reason: string | null = null;

  /** @param part the part that the process waits for; @param reason why it cannot be used yet, where that is known */
  waitFor(part: string, reason: string | null = null): void {
    this.#part = part;
    this.#reason = reason;
  }

  get part(): string {
    return this.#part;
  }

  get reason(): string | null {
    return this.#reason;
  }

  /** Returns one sentence for people. */
  get sentence(): string {
    const why = this.#reason === null ? '' : ` (${this.#reason})`;
    return `This server is starting and waits for ${this.#part}${why}. Try again in a few seconds.`;
  }
}

/** Makes the application that answers until the process is ready: every request gets 503, with what the process waits for. */
export function createStartingApp(config: Config, logger: Logger, starting: Starting): Express {
  const app = express();
  app.disable('x-powered-by');
  app.locals['basePath'] = config.basePath;
  app.use(securityHeaders(config));
  app.set('trust proxy', config.trustProxy);
  app.use(redirectToHttps(config));
  app.use(requireOwnHost(config));
  app.use((req, res) => {
    res.set('Retry-After', String(RETRY_AFTER_SECONDS)).set('Cache-Control', 'no-store');
    if (req.path === '/health') {
      res.status(503).json({
        status: 'starting',
        service: serviceName(config),
        version: VERSION,
        waits_for: starting.part,
        reason: starting.reason,
      });
    } else if (req.method === 'GET' && req.accepts(['application/json', 'text/html']) === 'text/html') {
      // A person's browser: it reloads until the page is there.
      res.status(503).set('Refresh', String(RETRY_AFTER_SECONDS)).type('text/plain');
      res.send(`${starting.sentence}\n`);
    } else {
      sendProblem(res, new MembridgeError('starting', starting.sentence));
    }
  });
  app.use(handleErrors(logger));
  return app;
}
