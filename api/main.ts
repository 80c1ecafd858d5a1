import pino from 'pino';
import { errorMessage } from '../contract/errors.ts';
import { parseConfig } from './config.ts';
import { startControlPlane } from './control-plane.ts';
import { VERSION } from './version.ts';

/** Runs the control plane as a process: `node api/main.ts`. Exit code 1 means that it could not start; stderr says why. */
try {
  const config = parseConfig(process.env);
  const logger = pino({ level: config.logLevel });
  const plane = await startControlPlane(config, logger);
  logger.info({ url: plane.url, version: VERSION }, 'the control plane is ready');
  let stopping = false;
  const stop = (signal: string): void => {
    // A second signal means: stop now.
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, 'stopping');
    void plane.stop().then(() => process.exit(0));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
} catch (error) {
  console.error(errorMessage(error));
  process.exit(1);
}
