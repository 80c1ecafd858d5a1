import { basename } from 'node:path';
import { z } from 'zod';
import type { RunSpec } from '../contract/tasks/runs.ts';

/**
 * The program that works on tasks: Claude Code, whose output is parsed, or any other, whose output is the
 * answer.
 */
export type RunnerCommand =
  | { readonly kind: 'claude'; readonly program: string; readonly args?: readonly string[] }
  | { readonly kind: 'other'; readonly program: string; readonly args: readonly string[] };

const Words = z.array(z.string().regex(/^[^\0]*$/, 'must not contain NUL')).min(1);

/**
 * Parses the setting MEMBRIDGE_RUNNER.
 * @param setting `claude` (the default), the path of a program named `claude`, or a JSON array of a program
 * and its arguments. Claude Code in an array has these arguments before ours
 * @throws Error saying what is wrong with it
 */
export function parseRunnerCommand(setting: string | undefined): RunnerCommand {
  const value = setting?.trim() ?? '';
  if (value === '') return { kind: 'claude', program: 'claude' };
  if (!value.startsWith('[')) {
    if (isClaude(value)) return { kind: 'claude', program: value };
    throw new Error(
      `MEMBRIDGE_RUNNER must be claude, the path of a program called claude, or a JSON array such as ["mycli","--flag","{prompt}"], not "${value}"`,
    );
  }
  const [program = '', ...args] = parseWords(value);
  if (program === '') throw new Error('MEMBRIDGE_RUNNER names no program');
  return isClaude(program) ? { kind: 'claude', program, args } : { kind: 'other', program, args };
}

function parseWords(value: string): string[] {
  try {
    return Words.parse(JSON.parse(value));
  } catch (error) {
    throw new Error(`MEMBRIDGE_RUNNER is not a JSON array of texts: ${value}`, { cause: error });
  }
}

const isClaude = (program: string): boolean =>
  basename(program) === 'claude' && (program === 'claude' || program.startsWith('/'));

/** How Claude Code takes up a task. */
export interface ClaudeOptions {
  /** The conversation to continue; null for a new one. */
  readonly resume: string | null;
  /** Continue with a copy of that conversation, because another run is continuing it at the same time. */
  readonly fork: boolean;
  /** US dollars; null: no limit. */
  readonly budgetUsd: number | null;
}

/**
 * Returns the arguments of Claude Code. The prompt is not among them: it is sent through standard input,
 * which no process list shows.
 */
export function claudeArguments(own: readonly string[], options: ClaudeOptions): string[] {
  const args = [...own, '--print', '--output-format', 'stream-json', '--verbose'];
  // A repository's settings can run programs and send the API key to another server, without a question in
  // print mode. An owner who trusts the repositories of this node says so with own arguments.
  const sources = settingSources(own);
  if (sources === null) args.push('--setting-sources', 'user');
  if (!own.includes('--strict-mcp-config') && sources?.includes('project') !== true) {
    args.push('--strict-mcp-config');
  }
  if (options.budgetUsd !== null) args.push('--max-budget-usd', String(options.budgetUsd));
  if (options.resume !== null) args.push('--resume', options.resume);
  if (options.resume !== null && options.fork) args.push('--fork-session');
  return args;
}

/**
 * Returns whose settings Claude Code should read (`user`, `project`, `local`); null when the owner's
 * arguments do not say.
 */
function settingSources(own: readonly string[]): string[] | null {
  const option = '--setting-sources';
  const at = own.findIndex((arg) => arg === option || arg.startsWith(`${option}=`));
  if (at < 0) return null;
  const value = own[at] === option ? own[at + 1] : own[at]?.slice(option.length + 1);
  return (value ?? '').split(',').map((source) => source.trim());
}

/**
 * Returns the arguments of another program, with `{context_id}`, `{agent_slug}` and `{format}` replaced. An
 * argument that is exactly `{prompt}` becomes the prompt, which otherwise is sent through standard input.
 */
export function otherArguments(
  own: readonly string[],
  spec: Pick<RunSpec, 'contextId' | 'agentSlug' | 'format'>,
  prompt: string,
): { args: string[]; input: string } {
  const values: Readonly<Record<string, string>> = {
    context_id: spec.contextId,
    agent_slug: spec.agentSlug,
    format: spec.format,
  };
  const fill = (arg: string): string =>
    arg.replaceAll(/\{(context_id|agent_slug|format)\}/g, (_, name: string) => values[name] ?? '');
  return {
    args: own.map((arg) => (arg === '{prompt}' ? prompt : fill(arg))),
    input: own.includes('{prompt}') ? '' : prompt,
  };
}
