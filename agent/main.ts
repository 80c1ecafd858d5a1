import { mkdirSync } from 'node:fs';
import { errorMessage } from '../contract/errors.ts';
import { startAgent } from './agent.ts';
import { readAgentConfig } from './config.ts';
import { openWorkerEngine } from './engine.ts';
import { ensureEnrolled, refreshConnection } from './control-plane/enrol.ts';
import { createAgentApp, listen } from './local/http.ts';
import { createLog } from './recent-log.ts';
import { answerCallsOf } from './remote/index.ts';
import { writeRunning } from './control-plane/state.ts';

/** The exit code with which an agent asks its service manager to start it again. */
const RESTART_CODE = 75;

/** How long an orderly end may take, in milliseconds. */
const STOP_TIMEOUT_MS = 15_000;

async function main(): Promise<void> {
  const config = readAgentConfig(process.env);
  const { log, recent } = createLog(config.logLevel);
  for (const warning of config.database.warnings) log.warn(warning);
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const state = await refreshConnection(config, await ensureEnrolled(config), log);
  const { server, url } = await listen(config.host, config.port);
  const engine = await openWorkerEngine(config, state, log);

  const stop = async (code: number): Promise<void> => {
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    closeCalls();
    server.close();
    server.closeAllConnections();
    await agent.stop();
    process.exit(code);
  };
  const agent = startAgent(config, state, engine, url, log, (error) => {
    log.fatal(
      { reason: errorMessage(error) },
      'the memory thread died; the agent ends so that its service manager starts it again',
    );
    void stop(1);
  });
  const closeCalls = answerCallsOf(agent, recent);
  // systemd restarts a service that ended with a failure (Restart=on-failure).
  server.on(
    'request',
    createAgentApp(agent, () => void stop(RESTART_CODE)),
  );
  writeRunning(config.dataDir, { pid: process.pid, url });
  log.info(
    {
      node: state.enrolment.node_id,
      url,
      database: config.databasePath,
      decidedBy: config.database.decidedBy,
    },
    'agent runs',
  );

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'agent stops');
      void stop(0);
    });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exit(1);
}
