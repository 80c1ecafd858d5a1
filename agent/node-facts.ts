import { accessSync, constants } from 'node:fs';
import { arch, hostname, networkInterfaces, release, type } from 'node:os';
import { delimiter, join } from 'node:path';
import type { NodeWork } from '../contract/nodes/node-standing.ts';
import type { NodeFacts, TaskSandbox } from '../contract/nodes/nodes.ts';
import type { AgentConfig } from './config.ts';
import packageJson from '../package.json' with { type: 'json' };

/** This agent's version. */
export const AGENT_VERSION: string = packageJson.version;

const STARTED_AT = Date.now();

/** Returns the facts about this node, for enrolment and heartbeats. */
export function readFacts(options: {
  url: string;
  dryrun: boolean;
  tasks: Pick<AgentConfig, 'runner' | 'maxConcurrency' | 'labels' | 'spaces'>;
  tasksRunning?: number;
  sandbox?: TaskSandbox;
  work?: NodeWork;
}): NodeFacts {
  const { sandbox, work } = options;
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((address) => !address.internal)
    .map((address) => address.address);
  return {
    hostname: hostname(),
    os_info: `${type()} ${release()}`,
    arch: arch(),
    agent_version: AGENT_VERSION,
    pid: process.pid,
    started_at: STARTED_AT,
    url: options.url,
    ip_addrs: addresses.slice(0, 64),
    dryrun: options.dryrun,
    capabilities: {
      // The control plane reads this field as "takes tasks".
      claude_cli:
        !options.dryrun && sandbox?.refuses !== true && isProgramRunnable(options.tasks.runner.program),
      max_concurrency: options.tasks.maxConcurrency,
      labels: [...options.tasks.labels],
    },
    tasks_running: options.tasksRunning ?? 0,
    ...(options.tasks.spaces === undefined ? {} : { spaces: [...options.tasks.spaces] }),
    ...(sandbox === undefined ? {} : { task_sandbox: sandbox }),
    // Not at enrolment: a control plane of version 0.4 refuses unknown fields there.
    ...(work === undefined ? {} : { work, answers_calls: true }),
  };
}

/** Returns whether a program can be run: by its path, or by its name when it is on the PATH. */
export function isProgramRunnable(program: string): boolean {
  if (program.includes('/')) return isExecutable(program);
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((folder) => folder !== '' && isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
