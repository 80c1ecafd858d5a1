import { z } from 'zod';
import { NO_USAGE, type RunError, type Usage } from '../contract/tasks/runs.ts';
import { runFailure, type FailureCode } from './failures.ts';
import { LineReader, shorten } from './lines.ts';

/** Maximum length of a parsed line; an answer is one line. */
const MAX_LINE_CHARS = 8 * 2 ** 20;

/** Maximum number of characters shown of a tool's input. */
const SHOWN_INPUT = 200;

/** Maximum number of characters of a message in an error. */
export const MESSAGE_LENGTH = 500;

const count = z.number().int().nonnegative().nullable().catch(null);
const dollars = z.number().nonnegative().nullable().catch(null);
const text = z.string().nullable().catch(null);

/** Claude Code's last line; the only one with `--output-format json`. Missing fields are null. */
const ResultLine = z.looseObject({
  type: z.literal('result'),
  subtype: z.string().catch('success'),
  is_error: z.boolean().catch(false),
  result: text,
  errors: z.array(z.string()).catch([]),
  api_error_status: z.number().nullable().catch(null),
  session_id: text,
  total_cost_usd: dollars,
  num_turns: count,
  usage: z
    .looseObject({
      input_tokens: count,
      output_tokens: count,
      cache_read_input_tokens: count,
      cache_creation_input_tokens: count,
    })
    .nullable()
    .catch(null),
  modelUsage: z.record(z.string(), z.looseObject({ costUSD: dollars })).catch({}),
});
export type ResultLine = z.infer<typeof ResultLine>;

const InitLine = z.looseObject({ type: z.literal('system'), session_id: text, model: text });

const Block = z.union([
  z.looseObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.literal('tool_use'), name: z.string(), input: z.unknown() }),
  z.looseObject({ type: z.string() }),
]);

const AssistantLine = z.looseObject({
  type: z.literal('assistant'),
  message: z.looseObject({ content: z.array(Block).catch([]) }),
  /** The kind of service error that replaced a message. */
  error: text,
});

/**
 * Parses the output of `claude --output-format stream-json`, and shows it to people: the model's text, and a
 * line for each tool use. Shows lines that are not JSON unchanged; ignores JSON of other kinds.
 */
export class ClaudeOutput {
  readonly #show: (text: string) => void;
  readonly #lines: LineReader;
  #result: { readonly line: ResultLine; readonly raw: string } | null = null;
  #sessionId: string | null = null;
  #model: string | null = null;
  #serviceError: string | null = null;

  /** @param show receives text for people, including line ends */
  constructor(show: (text: string) => void) {
    this.#show = show;
    this.#lines = new LineReader(MAX_LINE_CHARS, (line) => this.#read(line));
  }

  /** The id of this conversation; null when the program did not report it. */
  get sessionId(): string | null {
    return this.#result?.line.session_id ?? this.#sessionId;
  }

  /** The last line of kind `result`; null when there was none. */
  get result(): ResultLine | null {
    return this.#result?.line ?? null;
  }

  /** That line as it was written, which equals the output of `claude --output-format json`. */
  get rawResult(): string | null {
    return this.#result?.raw ?? null;
  }

  get usage(): Usage {
    return this.#result === null
      ? { ...NO_USAGE, model: this.#model }
      : usageOf(this.#result.line, this.#model);
  }

  /** Number of lines that were too long to parse. */
  get leftOut(): number {
    return this.#lines.leftOut;
  }

  /** The failure that the run itself reported; null when it reported none. */
  get error(): RunError | null {
    return this.#result === null ? null : errorOf(this.#result.line, this.#serviceError);
  }

  take(text: string): void {
    this.#lines.take(text);
  }

  end(): void {
    this.#lines.end();
  }

  #read(line: string): void {
    if (line.trim() === '') return;
    const json = parseObject(line);
    if (json === null) {
      this.#show(`${line}\n`);
      return;
    }
    const result = ResultLine.safeParse(json);
    if (result.success) {
      this.#result = { line: result.data, raw: line.trim() };
      return;
    }
    const init = InitLine.safeParse(json);
    if (init.success) {
      this.#sessionId = init.data.session_id ?? this.#sessionId;
      this.#model = init.data.model ?? this.#model;
      return;
    }
    const assistant = AssistantLine.safeParse(json);
    if (!assistant.success) return;
    this.#serviceError = assistant.data.error;
    for (const block of assistant.data.message.content) this.#showBlock(block);
  }

  #showBlock(block: z.infer<typeof Block>): void {
    if (block.type === 'text' && typeof block['text'] === 'string') this.#show(`${block['text']}\n`);
    if (block.type === 'tool_use' && typeof block['name'] === 'string') {
      this.#show(`→ ${block['name']} ${shortenInput(block['input'])}\n`);
    }
  }
}

/** The fields of a tool's input that are most informative for people. */
const INFORMATIVE_FIELDS = [
  'command',
  'file_path',
  'path',
  'pattern',
  'url',
  'query',
  'description',
  'prompt',
];

function shortenInput(input: unknown): string {
  const fields = (typeof input === 'object' && input !== null ? input : {}) as Record<string, unknown>;
  const telling = INFORMATIVE_FIELDS.map((name) => fields[name]).find((value) => typeof value === 'string');
  const shown = typeof telling === 'string' ? telling : (JSON.stringify(input) ?? '');
  return shorten(shown.replaceAll(/\s+/g, ' '), SHOWN_INPUT);
}

/** Parses the single JSON object that a program wrote, if it is a result in Claude Code's format. */
export function readResult(stdout: string): ResultLine | null {
  if (stdout.length > MAX_LINE_CHARS) return null;
  return ResultLine.safeParse(parseObject(stdout)).data ?? null;
}

function parseObject(line: string): object | null {
  if (!line.trimStart().startsWith('{')) return null;
  try {
    return JSON.parse(line) as object;
  } catch {
    return null;
  }
}

/** @param model the model that the program started with; the most used model takes precedence */
export function usageOf(line: ResultLine, model: string | null): Usage {
  const [dearest] = Object.entries(line.modelUsage).sort(
    ([, one], [, other]) => (other.costUSD ?? 0) - (one.costUSD ?? 0),
  );
  return {
    inputTokens: line.usage?.input_tokens ?? null,
    outputTokens: line.usage?.output_tokens ?? null,
    cacheReadTokens: line.usage?.cache_read_input_tokens ?? null,
    cacheWriteTokens: line.usage?.cache_creation_input_tokens ?? null,
    costUsd: line.total_cost_usd,
    turns: line.num_turns,
    model: dearest?.[0] ?? model,
  };
}

/**
 * Returns the failure that a run itself reported; null when there is none.
 * @param serviceError the kind of error behind the model's last message, in Claude Code's words
 */
export function errorOf(line: ResultLine, serviceError: string | null): RunError | null {
  if (!line.is_error && !line.subtype.startsWith('error')) return null;
  const said = [line.result ?? '', ...line.errors].filter((part) => part !== '').join('; ');
  const message = shorten(said === '' ? `The program reported ${line.subtype}.` : said, MESSAGE_LENGTH);
  if (line.subtype === 'error_max_turns') {
    return runFailure('turns_exceeded', said === '' ? 'The program reached its limit of turns.' : message);
  }
  if (line.subtype === 'error_max_budget_usd') {
    return runFailure('budget_exceeded', said === '' ? 'The program reached its budget.' : message);
  }
  return runFailure(codeOf(line.api_error_status, serviceError, said), message);
}

/** Returns the kind of failure in a message of the program, if there is no status. */
export function codeOf(status: number | null, serviceError: string | null, message: string): FailureCode {
  if (status === 401 || status === 403) return 'runner_refused';
  if (status !== null && (status === 429 || status >= 500)) return 'runner_busy';
  if (/^(?:authentication|billing|oauth)/.test(serviceError ?? '')) return 'runner_refused';
  if (/^(?:rate_limit|overloaded|server_error)/.test(serviceError ?? '')) return 'runner_busy';
  if (REFUSED_MESSAGE.test(message)) return 'runner_refused';
  return BUSY_MESSAGE.test(message) ? 'runner_busy' : 'program_failed';
}

const REFUSED_MESSAGE =
  /invalid (?:x-)?api[ -]?key|not logged in|please run \/login|credit balance|authentication_error|oauth token|billing/i;
const BUSY_MESSAGE = /rate.?limit|overloaded|usage limit|hit your limit|too many requests|\b(?:429|529)\b/i;
