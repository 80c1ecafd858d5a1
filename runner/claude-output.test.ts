import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClaudeOutput, readResult } from './claude-output.ts';

const RESULT = {
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'Done: ö😀',
  session_id: 's1',
  num_turns: 3,
  total_cost_usd: 0.125,
  usage: { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 },
};

const say = (content: unknown, more: object = {}): object => ({
  type: 'assistant',
  message: { content },
  session_id: 's1',
  ...more,
});

function read(
  lines: readonly unknown[],
  cuts: readonly number[] = [],
): { output: ClaudeOutput; shown: string } {
  let shown = '';
  const output = new ClaudeOutput((text) => (shown += text));
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  let from = 0;
  for (const cut of [...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length]) {
    output.take(text.slice(from, cut));
    from = cut;
  }
  output.end();
  return { output, shown };
}

const STREAM = [
  { type: 'system', subtype: 'init', session_id: 's1', model: 'model-a' },
  say([
    { type: 'thinking', thinking: 'hm' },
    { type: 'text', text: 'Looking.' },
  ]),
  say([{ type: 'tool_use', name: 'Read', input: { file_path: 'a b.md', limit: 3 } }]),
  'a warning from elsewhere',
  { type: 'rate_limit_event', anything: [] },
  say([{ type: 'tool_use', name: 'Odd', input: { x: [1] } }, { type: 'unheard_of' }]),
  RESULT,
];

describe("Claude Code's stream", () => {
  it('is read the same way for any split into chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (cuts) => {
        const { output, shown } = read(STREAM, cuts);
        expect(shown).toBe('Looking.\n→ Read a b.md\na warning from elsewhere\n→ Odd {"x":[1]}\n');
        expect(output).toMatchObject({ sessionId: 's1', error: null, leftOut: 0 });
        expect(output.rawResult).toBe(JSON.stringify(RESULT));
        expect(output.usage).toEqual({
          inputTokens: 1,
          outputTokens: 2,
          cacheReadTokens: 3,
          cacheWriteTokens: 4,
          costUsd: 0.125,
          turns: 3,
          model: 'model-a',
        });
      }),
    );
  });

  it('is read to the end with any content', () => {
    const kinds = fc.constantFrom('result', 'assistant', 'system', 'text', 'tool_use', 'x');
    const line = fc.record(
      {
        type: kinds,
        message: fc.jsonValue(),
        usage: fc.jsonValue(),
        modelUsage: fc.jsonValue(),
        session_id: fc.jsonValue(),
        total_cost_usd: fc.jsonValue(),
        errors: fc.jsonValue(),
        error: fc.jsonValue(),
      },
      { requiredKeys: ['type'] },
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.jsonValue(), fc.string()), { maxLength: 8 }), (lines) => {
        const { output } = read(lines);
        expect(output.usage.costUsd ?? 0).toBeGreaterThanOrEqual(0);
        expect(output.error === null || output.result !== null).toBe(true);
      }),
    );
  });

  it('shows only a little of a tool’s input', () => {
    const { shown } = read([
      say([{ type: 'tool_use', name: 'Bash', input: { command: 'x\n'.repeat(500) } }]),
    ]);
    expect(shown).toHaveLength('→ Bash '.length + 200 + 1);
  });
});

describe('a failure that Claude Code reports', () => {
  const failed = (line: object, before: object[] = []) =>
    read([...before, { ...RESULT, ...line }]).output.error;

  it.each([
    ['runner_refused', false, { is_error: true, result: 'Not logged in · Please run /login' }],
    ['runner_refused', false, { is_error: true, result: 'Invalid API key · Fix external API key' }],
    ['runner_refused', false, { is_error: true, result: 'Credit balance is too low' }],
    ['runner_refused', false, { is_error: true, result: 'No', api_error_status: 401 }],
    ['runner_busy', true, { is_error: true, result: 'API Error: 529 {"type":"overloaded_error"}' }],
    ['runner_busy', true, { is_error: true, result: 'Claude usage limit reached' }],
    ['runner_busy', true, { is_error: true, result: 'No', api_error_status: 429 }],
    ['program_failed', true, { is_error: true, result: 'Something else' }],
    [
      'program_failed',
      true,
      { subtype: 'error_during_execution', is_error: true, result: null, errors: ['oh'] },
    ],
    ['turns_exceeded', false, { subtype: 'error_max_turns', result: null }],
    ['budget_exceeded', false, { subtype: 'error_max_budget_usd', result: null }],
  ])('is %s (another attempt may help: %s) for %j', (code, retryable, line) => {
    expect(failed(line)).toMatchObject({ code, retryable });
  });

  it('is recognized by the kind of error behind a message, not by its words', () => {
    const line = { is_error: true, result: 'Nein' };
    expect(failed(line, [say([], { error: 'authentication_failed' })])?.code).toBe('runner_refused');
    expect(failed(line, [say([], { error: 'rate_limit' })])?.code).toBe('runner_busy');
    expect(failed(line, [say([], { error: 'rate_limit' }), say([])])?.code).toBe('program_failed');
  });

  it('is not found in an answer that merely mentions such things', () => {
    expect(failed({ result: 'The rate limit is 429; run /login; invalid API key' })).toBeNull();
  });
});

describe('a result as the only thing that a program wrote', () => {
  it('is read, and nothing else is', () => {
    expect(readResult(`${JSON.stringify(RESULT, null, 2)}\n`)?.num_turns).toBe(3);
    for (const text of ['', 'x', '{}', '[]', '{"type":"other"}', `${JSON.stringify(RESULT)} and more`]) {
      expect(readResult(text)).toBeNull();
    }
  });
});
