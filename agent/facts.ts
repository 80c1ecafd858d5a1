import { accessSync, constants } from 'node:fs';
import { arch, hostname, networkInterfaces, release, type } from 'node:os';
import { delimiter, join } from 'node:path';
import type { NodeFacts } from '../contract/nodes.ts';
import packageJson from '../package.json' with { type: 'json' };

/** This agent's version. */
export const AGENT_VERSION: string = packageJson.version;

const STARTED_AT = Date.now();

/** What this node is, for enrolment and heartbeats. */
export function readFacts(options: { url: string; dryrun: boolean }): NodeFacts {
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
    capabilities: { claude_cli: isOnPath('claude'), max_concurrency: 1, labels: [] },
  };
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}
