import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { arch, hostname, release, type } from 'node:os';
import { join } from 'node:path';
import express, { type Request, type Response } from 'express';
import { z } from 'zod';
import { canonicalId } from '../../contract/memory/canonical-id.ts';
import { uncoveredSentence } from '../../contract/memory/uncovered.ts';
import { MembridgeError } from '../../contract/errors.ts';
import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { CanonicalId, ProjectName, type SyncAction } from '../../contract/http/primitives.ts';
import { isLoopbackAddress, isOwnHost } from '../../contract/nodes/own-host.ts';
import type { Agent } from '../agent.ts';
import { ENGINE_CALLS } from '../calls/index.ts';
import { examineStore } from '../doctor/doctor.ts';
import { AGENT_VERSION } from '../node-facts.ts';
import { answerError } from './problems.ts';
import { CloneBody, cloneByHttp, reposByHttp } from '../projects/projects.ts';
import { diagnose } from './diagnose.ts';
import { ExecuteTaskBody, executeTask } from './execute-task.ts';
import { isFromThisMachine, requireProcessControl } from './local-only.ts';
import { controlProcess } from './process-control.ts';
import { readOriginal } from './read-original.ts';
import { readStatus } from './read-status.ts';
import { readDiskOf, readGitVersion, initSystem, readSystemInfo } from './system.ts';
import { readRegistry, registerProject } from '../projects/registry.ts';
import { listSessions, readSession } from '../../runner/sessions.ts';
import { serveCall } from './serve-call.ts';

/** How long a request waits for its sync to end, in milliseconds (the original's limit). */
const SYNC_WAIT_MS = 120_000;

const SyncBody = z.strictObject({
  project: ProjectName,
  /** Accepted for the original's scripts; this agent never stops claude-mem's worker. */
  no_restart_worker: z.boolean().nullish(),
});
const RegisterBody = z.strictObject({
  project_id: ProjectName,
  canonical_id: CanonicalId.nullish(),
  path: z.string().max(4_096).nullish(),
  notes: z.string().max(4_096).nullish(),
});
const SessionParams = z.object({ context: z.string().min(1).max(256) });
const DoctorInput = z.object({ project: ProjectName.optional() });
const ProjectQuery = z.object({ project: ProjectName.optional() });

/** Starts the agent's HTTP server. @throws Error naming MEMBRIDGE_AGENT_PORT when the port is taken */
export async function listen(host: string, port: number): Promise<{ server: Server; url: string }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`Port ${port} on ${host} is taken. Set MEMBRIDGE_AGENT_PORT to a free one.`)
          : error,
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const actual = typeof address === 'object' && address !== null ? address.port : port;
  return { server, url: `http://${host}:${actual}` };
}

/**
 * Serves the original agent's paths for one running agent.
 * @param restart ends the agent so that its service manager starts it again
 */
export function createAgentApp(agent: Agent, restart: () => void): express.Express {
  const { config, state } = agent;
  const app = express();
  app.locals['controlPlane'] = config.serverUrl;
  app.disable('x-powered-by');
  // A website whose name resolves to 127.0.0.1 must not reach this through a browser (DNS rebinding).
  app.use((request, response, next) => {
    if (!isLoopbackAddress(config.host) || isOwnHost(request.headers.host)) {
      next();
      return;
    }
    const detail = `This agent is reached as localhost or 127.0.0.1, not as ${JSON.stringify(request.headers.host ?? '')}.`;
    answerError(new MembridgeError('forbidden', detail), request, response, next);
  });
  app.use(express.json({ limit: '64kb' }));

  app.get('/health', async (_request: Request, response: Response) => {
    response.json(await health(agent));
  });
  const needKey = authenticate(state.enrolment.agent_key);
  // The original's hooks have no key; they run on this machine.
  const needKeyFromElsewhere: express.RequestHandler = (request, response, next) => {
    if (isFromThisMachine(request)) next();
    else needKey(request, response, next);
  };
  app.get('/projects', needKeyFromElsewhere, (_request, response) => {
    response.json(readRegistry(config.dataDir));
  });
  app.post('/register_project', needKeyFromElsewhere, (request, response) => {
    const body = readOriginal(RegisterBody, request, response);
    if (config.dryrun) {
      response.json({ ok: true, dryrun: true, detail: `[DRYRUN] Would register project ${body.project_id}` });
      return;
    }
    response.json(registerProject(config.dataDir, body));
  });
  app.use(needKey);

  app.get('/status', (request, response) => {
    const { project } = ProjectQuery.parse(request.query);
    response.json(readStatus(agent, project));
  });

  for (const action of ['push', 'pull', 'sync'] as const) {
    const handler = async (request: Request, response: Response): Promise<void> => {
      const { project } = readOriginal(SyncBody, request, response);
      response.json(await sync(agent, action, project));
    };
    app.post(action === 'sync' ? '/sync' : [`/sync/${action}`, `/${action}`], handler);
  }

  app.post('/clone', async (request: Request, response: Response) => {
    const left = new AbortController();
    response.on('close', () => left.abort(new MembridgeError('clone_failed', 'The caller left.')));
    const body = readOriginal(CloneBody, request, response, 'bad_request');
    response.json(await cloneByHttp(config, body, left.signal));
  });
  app.get('/repos', async (_request: Request, response: Response) => {
    response.json(await reposByHttp(config));
  });

  app.get('/sessions', async (_request: Request, response: Response) => {
    const sessions = await listSessions(join(config.dataDir, 'sessions'));
    response.json(sessions.map((session) => ({ ...session, messages_count: session.messages.length })));
  });
  app.get('/sessions/:context', async (request: Request, response: Response) => {
    const { context } = SessionParams.parse(request.params);
    const session = await readSession(join(config.dataDir, 'sessions'), context);
    if (session === null) throw new MembridgeError('not_found', `There is no session of context ${context}.`);
    response.json(session);
  });

  const doctor = async (request: Request, response: Response): Promise<void> => {
    const { project } = DoctorInput.parse({ ...request.query, ...(request.body as object | undefined) });
    response.json(await diagnose(agent, project));
  };
  app.get('/doctor', doctor);
  app.post('/doctor', doctor);
  app.post('/doctor/store', async (_request: Request, response: Response) => {
    const left = new AbortController();
    response.on('close', () => left.abort(new Error('the caller left')));
    const checks = await examineStore(agent, left.signal);
    response.json({ ok: true, action: 'doctor', hostname: hostname(), returncode: 0, checks });
  });

  app.get('/system-info', async (_request: Request, response: Response) => {
    response.json(await readSystemInfo(agent));
  });
  app.post('/execute-task', async (request: Request, response: Response) => {
    requireProcessControl(request, config.allowProcessControl, 'POST /execute-task');
    const body = readOriginal(ExecuteTaskBody, request, response);
    const left = new AbortController();
    response.on('close', () => left.abort(new MembridgeError('task_failed', 'The caller left.')));
    response.json(await executeTask(agent, body, left.signal));
  });
  for (const action of ['self-update', 'restart', 'uninstall'] as const) {
    app.post(`/${action}`, (request, response) => {
      requireProcessControl(request, config.allowProcessControl, `POST /${action}`);
      response.json(controlProcess(agent, action, restart));
    });
  }

  for (const call of ENGINE_CALLS) app.post(`/${call.name}`, serveCall(agent, call));
  app.post('/keys/rotate', async (_request, response) => {
    if (config.dryrun) {
      response.json({ ok: true, dryrun: true, detail: '[DRYRUN] Would make a new key' });
      return;
    }
    const { keyId } = await agent.rotateKeys();
    const detail = `others encrypt for key ${keyId} as soon as this node's next push has published it`;
    response.json({ ok: true, key_id: keyId, detail });
  });

  app.use((request: Request) => {
    throw new MembridgeError('not_found', `The agent has no ${request.method} ${request.path}.`);
  });
  app.use(answerError);
  return app;
}

/** Runs one sync to its end and answers in the original's shape. */
async function sync(agent: Agent, action: SyncAction, project: string): Promise<Record<string, unknown>> {
  const space = findSpace(agent, project);
  const answer = {
    action,
    project,
    canonical_id: space.cid,
    hostname: hostname(),
    dryrun: agent.config.dryrun,
    stdout: '',
    stderr: '',
    returncode: 0,
  };
  if (agent.config.dryrun) return { ...answer, ok: true, detail: `[DRYRUN] Would ${action} ${project}` };
  const { jobId, result } = await agent.requests.run(space, action, SYNC_WAIT_MS);
  const { push, pull, error } = result;
  const figures = { job_id: jobId, push, pull };
  if (error !== null) {
    return { ...answer, ...figures, ok: false, detail: error.message, stderr: error.message, returncode: 1 };
  }
  const sent = push === null ? [] : [`sent ${push.rows} rows`];
  const received = pull === null ? [] : [`received ${pull.inserted + pull.updated} rows`];
  const removed = (pull?.deleted ?? 0) === 0 ? [] : [`removed ${pull?.deleted} rows`];
  const uncovered = push?.uncovered ?? pull?.uncovered;
  const note = uncovered === undefined ? [] : [uncoveredSentence(uncovered)];
  const withheld = (push?.withheld ?? []).map(
    ({ project: of, reason, rows }) => `withheld ${rows} rows of ${JSON.stringify(of)} (${reason})`,
  );
  const detail = [...sent, ...received, ...removed, ...note, ...withheld].join(', ');
  return { ...answer, ...figures, ok: true, detail };
}

function findSpace(agent: Agent, project: string): SpaceConfig {
  const cid = canonicalId(project);
  const spaces = agent.spaces();
  const space = spaces.find((each) =>
    [each.cid, ...(each.aliases ?? [])].some((id) => id === cid || id === project),
  );
  if (space !== undefined) return space;
  const known = spaces.map((each) => each.projectId).join(', ') || 'none yet';
  throw new MembridgeError(
    'not_found',
    `There is no space "${project}" (${cid}) on the control plane. Create it on the page first. Spaces of this node: ${known}.`,
  );
}

async function health(agent: Agent): Promise<Record<string, unknown>> {
  const { config, state } = agent;
  const disk = readDiskOf(config.dataDir);
  return {
    status: 'ok',
    service: 'membridge-agent',
    version: AGENT_VERSION,
    ...(await readGitVersion()),
    hostname: hostname(),
    node_id: state.enrolment.node_id,
    os_info: `${type()} ${release()}`,
    arch: arch(),
    python: null,
    node: process.version,
    init_system: initSystem(),
    dryrun: config.dryrun,
    allow_process_control: config.allowProcessControl,
    hooks_bin: config.hooksBin,
    config_env: config.configEnv,
    agent_dir: config.dataDir,
    heartbeat_interval: config.heartbeatMs / 1_000,
    server_url: state.server_url,
    runtime_url: state.server_url,
    projects_count: agent.spaces().length,
    uptime_seconds: Math.round(process.uptime()),
    disk: {
      total_gb: disk.total,
      free_gb: disk.free,
      used_pct: disk.usedPercent,
    },
    capabilities: {
      self_update: false,
      restart: config.allowProcessControl,
      uninstall: false,
      clone: true,
      sync: true,
      process_control: config.allowProcessControl,
    },
  };
}

/** Compares digests, so that the time taken reveals neither the content nor the length of a key. */
function authenticate(key: string): express.RequestHandler {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'latin1').digest();
  const expected = digest(key);
  return (request, _response, next) => {
    if (timingSafeEqual(digest(request.get('X-MEMBRIDGE-AGENT') ?? ''), expected)) {
      next();
      return;
    }
    throw new MembridgeError('unauthorized', 'The header X-MEMBRIDGE-AGENT does not hold this agent’s key.');
  };
}
