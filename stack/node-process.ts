/** One of our scripts as a supervised process: the API, the agent, and what a demo or test runs beside them. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { get as getByTls } from 'node:https';
import type { Child } from './processes.ts';
import { requireFreePort } from './ports.ts';
import { startService, type Service } from './service.ts';

export interface NodeProcessOptions {
  /** Lower case, one word: names its log file and pid record in the data directory. */
  name: string;
  /** Path of the .ts file. */
  script: string;
  args?: string[];
  /** Its whole environment; a function is called again before every start. */
  env: NodeJS.ProcessEnv | (() => Promise<NodeJS.ProcessEnv>);
  dataDir: string;
  /** It is ready when GET of this address answers 200, or when it has written a matching line. */
  ready: { url: string } | { line: RegExp };
  /** The port it listens on and the setting that changes it; a taken port is then a clear error. */
  port?: { number: number; what: string; setting: string };
  readyTimeoutMs?: number;
  graceMs?: number;
}

/**
 * Runs a script with this process's own Node and waits until it is ready.
 * @param facts further facts for its users, such as its address; part of the result
 * @throws when it ends first or takes too long, quoting the last lines of its log
 */
export async function startNodeProcess<Facts extends object = object>(
  options: NodeProcessOptions,
  facts?: Facts,
): Promise<Service & Facts> {
  const { name, script, args = [], dataDir, ready, port, readyTimeoutMs, graceMs } = options;
  let env: NodeJS.ProcessEnv = {};
  return startService(
    {
      name,
      dataDir,
      prepare: async () => {
        if (port) await requireFreePort(port.number, port.what, port.setting);
        env = typeof options.env === 'function' ? await options.env() : options.env;
      },
      command: () => ({
        file: process.execPath,
        args: [...process.execArgv, script, ...args],
        env,
        cwd: process.cwd(),
      }),
      probe: (child) => ('url' in ready ? probeUrl(ready.url) : probeLine(child, ready.line)),
      ...(readyTimeoutMs !== undefined && { readyTimeoutMs }),
      ...(graceMs !== undefined && { graceMs }),
    },
    facts ?? ({} as Facts),
  );
}

/** Sends no key, so the certificate does not matter: another name than this machine's may stand in it. */
async function probeUrl(url: string): Promise<void> {
  const open = url.startsWith('https:') ? getByTls : get;
  const request = open(url, { signal: AbortSignal.timeout(5_000), agent: false, rejectUnauthorized: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  if (response.statusCode !== 200) throw new Error(`GET ${url} answers ${response.statusCode}`);
}

async function probeLine(child: Child, line: RegExp): Promise<void> {
  if (!line.test(child.lastLines(500))) throw new Error(`no line in its log matches ${line}`);
}
