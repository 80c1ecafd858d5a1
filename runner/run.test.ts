import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeRunnerNode, type RunnerNode } from '../test/tasks/runner-node.ts';
import type { RunnerCommand } from './command.ts';
import { listSessions, readSession } from './sessions.ts';

let node: RunnerNode;
beforeEach(() => {
  node = makeRunnerNode();
});
afterEach(() => node.remove());

const other = (program: string, ...args: string[]): RunnerCommand => ({ kind: 'other', program, args });

describe('a run of Claude Code', () => {
  it('returns the text as answer, the figures, and shows what happens to people', async () => {
    const outcome = await node.run('Hello, wörld');
    expect(outcome).toMatchObject({
      exitCode: 0,
      answer: 'You said: Hello, wörld',
      error: null,
      notes: [],
      usage: {
        inputTokens: 10,
        outputTokens: 20,
        cacheReadTokens: 30,
        cacheWriteTokens: 40,
        costUsd: 0.01,
        turns: 2,
        model: 'model-a',
      },
    });
    expect(outcome.durationMs).toBeGreaterThan(0);
    expect(node.shown.stdout).toBe('Let me look.\n→ Bash ls -l\nYou said: Hello, wörld\n');
    const [start] = node.starts();
    expect(start?.args?.slice(0, 4)).toEqual(['--print', '--output-format', 'stream-json', '--verbose']);
    expect(start?.cwd).toBe(node.cwd);
    expect(node.groups.started).toHaveLength(1);
    expect(node.groups.ended).toEqual(node.groups.started);
  });

  it('returns its whole result as JSON when requested', async () => {
    const { answer } = await node.run('Hi', {}, { format: 'json' });
    expect(JSON.parse(answer ?? '')).toMatchObject({ type: 'result', result: 'You said: Hi', num_turns: 2 });
    expect((await readSession(node.sessionsDir, 'c1'))?.messages.at(-1)?.content).toBe('You said: Hi');
  });

  it('continues the conversation of the context, with nothing before the prompt', async () => {
    await node.run('one');
    await node.run('two');
    await node.run('elsewhere', {}, { contextId: 'c2' });
    const [first, second, third] = node.starts();
    expect(first?.args).not.toContain('--resume');
    const session = await readSession(node.sessionsDir, 'c1');
    expect(second?.args.slice(-2)).toEqual(['--resume', session?.claude_session_id]);
    expect(second?.input).toBe('two');
    expect(third?.args).not.toContain('--resume');
    expect(session).toMatchObject({ context_id: 'c1', total_tasks: 2, cwd: node.cwd });
    expect(session?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  });

  it('starts a new conversation with the last messages in the same run when the old one is gone', async () => {
    await node.run('one');
    rmSync(join(node.folder, 'conversations'), { recursive: true });
    const outcome = await node.run('two');
    expect(outcome.error).toBeNull();
    expect(outcome.notes).toEqual([expect.stringMatching(/no longer knows the conversation/)]);
    const [, gone, anew] = node.starts();
    expect(gone?.args).toContain('--resume');
    expect(anew?.args).not.toContain('--resume');
    expect(anew?.input).toBe('<conversation>\nuser: one\nassistant: You said: one\n</conversation>\n\ntwo');
  });

  it('starts a new conversation in another folder, where Claude Code would not find the old one', async () => {
    await node.run('one');
    const cwd = join(node.folder, 'elsewhere');
    mkdirSync(cwd);
    await node.run('two', { cwd });
    expect(node.starts()[1]?.args).not.toContain('--resume');
    expect(node.starts()[1]?.input).toMatch(/^<conversation>/);
  });

  it('continues with a copy when two tasks of one context run at once', async () => {
    await node.run('one');
    node.plan({ lingerMs: 500 });
    await Promise.all([node.run('two'), node.run('three')]);
    const forks = node.starts().filter(({ args }) => args.includes('--fork-session'));
    expect(node.starts().filter(({ args }) => args.includes('--resume'))).toHaveLength(2);
    expect(forks).toHaveLength(1);
    expect(await readSession(node.sessionsDir, 'c1')).toMatchObject({ total_tasks: 3 });
  });

  it('passes the budget to Claude Code, and omits it for a version too old for that', async () => {
    await node.run('one', {}, { limits: { budgetUsd: 0.5 } });
    expect(node.starts()[0]?.args.slice(-2)).toEqual(['--max-budget-usd', '0.5']);
    node.plan({ old: true });
    const outcome = await node.run('two', {}, { contextId: 'c2', limits: { budgetUsd: 0.5 } });
    expect(outcome).toMatchObject({ error: null, notes: [expect.stringMatching(/has no --max-budget-usd/)] });
  });

  it('fails when it cost more than its budget, and keeps the answer', async () => {
    node.plan({ costUsd: 0.75 });
    expect(await node.run('Hi', {}, { limits: { budgetUsd: 0.5 } })).toMatchObject({
      answer: 'You said: Hi',
      error: { code: 'budget_exceeded', retryable: false },
      usage: { costUsd: 0.75 },
    });
    expect(await listSessions(node.sessionsDir)).toEqual([]);
  });

  it('counts as done when it answered in time and only its end took too long', async () => {
    node.plan({ lingerMs: 60_000 });
    expect(await node.run('Hi', {}, { limits: { timeoutMs: 3_000 } })).toMatchObject({
      answer: 'You said: Hi',
      error: null,
      notes: [expect.stringMatching(/did not end in time/)],
    });
  });

  it('fails with the last thing it printed when it ends without a result', async () => {
    node.plan({ lines: [], stderr: `warning: x\nfatal: ${'y'.repeat(600)}\n\n`, exitCode: 3 });
    const outcome = await node.run('Hi');
    expect(outcome).toMatchObject({
      exitCode: 3,
      answer: null,
      error: { code: 'program_failed', retryable: true },
    });
    expect(outcome.error?.message).toMatch(/^fatal: y{492}…$/);
    node.plan({ lines: [] });
    expect((await node.run('Hi')).error).toMatchObject({ code: 'no_answer' });
  });

  it('shows a line that is not JSON unchanged, and standard error as well', async () => {
    node.plan({ lines: ['plain words', '{broken', '{"type":"news"}'], stderr: 'careful\n' });
    await node.run('Hi');
    expect(node.shown).toEqual({ stdout: 'plain words\n{broken\n', stderr: 'careful\n' });
  });

  it('omits no line longer than it reads in memory', async () => {
    node.script(
      'claude',
      `process.stdin.resume();
       const mb = 'x'.repeat(2 ** 20);
       let n = 0;
       const more = () => { while (n++ < 200) if (!process.stdout.write(mb)) { process.stdout.once('drain', more); return; }
         process.stdout.write('\\n{"type":"result","subtype":"success","result":"done"}\\n'); process.exitCode = 0; process.stdin.destroy(); };
       more();`,
    );
    const before = process.memoryUsage().rss;
    let most = before;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
    const outcome = await node.run('Hi', {}, { limits: { outputBytes: 400_000_000 } });
    clearInterval(timer);
    expect(outcome).toMatchObject({ answer: 'done', notes: [expect.stringMatching(/1 lines? of output/)] });
    expect(most - before).toBeLessThan(150 * 2 ** 20);
  });
});

describe('the environment of a run', () => {
  it('contains none of our keys, but everything that the program needs', async () => {
    const ours = {
      MEMBRIDGE_AGENT_KEY: 's3cret',
      MEMBRIDGE_ENROL_TOKEN: 's3cret',
      MEMBRIDGE_ADMIN_KEY: 's3cret',
      MINIO_SECRET_KEY: 's3cret',
      MINIO_ACCESS_KEY: 's3cret',
      RUNTIME_API_KEY: 's3cret',
      DATABASE_URL: 'postgres://u:s3cret@h/d',
      PGPASSWORD: 's3cret',
    };
    const before = { ...process.env };
    Object.assign(process.env, ours, { ANTHROPIC_API_KEY: 'theirs', MEMBRIDGE_AGENT_PORT: '8001' });
    try {
      await node.run('Hi', {}, { taskId: 't9', contextId: 'c9', agentSlug: 'garden' });
      await node.run('Hi', {}, { agentSlug: 'default' });
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
      Object.assign(process.env, before);
    }
    const [start, plain] = node.starts();
    expect(JSON.stringify(start)).not.toContain('s3cret');
    expect(start?.env).toMatchObject({
      ANTHROPIC_API_KEY: 'theirs',
      MEMBRIDGE_AGENT_PORT: '8001',
      MEMBRIDGE_TASK_ID: 't9',
      MEMBRIDGE_CONTEXT_ID: 'c9',
      CLAUDE_PROJECT_ID: 'garden',
    });
    expect(plain?.env).not.toMatchObject({ CLAUDE_PROJECT_ID: 'default' });
  });
});

describe('a run of another program', () => {
  it('sends the prompt through standard input, and its output is the answer', async () => {
    const cat = node.script('echo', `process.stdin.pipe(process.stdout); console.error('hm');`);
    expect(await node.run('Hello\n', { command: other(cat) })).toMatchObject({
      answer: 'Hello\n',
      error: null,
    });
    expect(node.shown).toEqual({ stdout: 'Hello\n', stderr: 'hm\n' });
    // The next task of the context receives the messages before its prompt.
    expect((await node.run('Again', { command: other(cat) })).answer).toMatch(
      /^<conversation>\nuser: Hello\n\nassistant: Hello\n\n<\/conversation>\n\nAgain$/,
    );
  });

  it('fills in placeholders, and passes the prompt as an argument where requested', async () => {
    const args = node.script('args', `console.log(JSON.stringify(process.argv.slice(2)));`);
    const command = other(
      args,
      '--context={context_id}',
      '{agent_slug}',
      '{format}',
      '--',
      '{prompt}',
      'a {prompt}',
    );
    const { answer } = await node.run('$(touch x); {format}', { command }, { agentSlug: 'a' });
    expect(JSON.parse(answer ?? '')).toEqual([
      '--context=c1',
      'a',
      'text',
      '--',
      '$(touch x); {format}',
      'a {prompt}',
    ]);
    expect(existsSync(join(node.cwd, 'x'))).toBe(false);
    const tooLong = await node.run('x'.repeat(3_000_000), { command });
    expect(tooLong.error).toMatchObject({ code: 'prompt_too_long', retryable: false });
  });

  it('reports figures and failure when it prints a result in Claude Code’s format', async () => {
    const result = { type: 'result', subtype: 'success', is_error: false, result: 'ok', total_cost_usd: 0.2 };
    const json = node.script('json', `console.log(process.env.RESULT)`);
    process.env['RESULT'] = JSON.stringify(result, null, 2);
    expect(await node.run('Hi', { command: other(json), variables: ['RESULT'] })).toMatchObject({
      answer: `${JSON.stringify(result, null, 2)}\n`,
      usage: { costUsd: 0.2 },
      error: null,
    });
    process.env['RESULT'] = JSON.stringify({ ...result, is_error: true, result: 'Overloaded' });
    expect((await node.run('Hi', { command: other(json), variables: ['RESULT'] })).error).toMatchObject({
      code: 'runner_busy',
    });
    delete process.env['RESULT'];
  });

  it('fails by its exit code, or when it answers nothing', async () => {
    const failing = node.script('failing', `console.log('half'); console.error('no luck'); process.exit(2);`);
    expect(await node.run('Hi', { command: other(failing) })).toMatchObject({
      exitCode: 2,
      answer: 'half\n',
      error: { code: 'program_failed', message: 'no luck', retryable: true },
    });
    const silent = node.script('silent', '');
    // A program that ends well without output has done its work.
    expect(await node.run('Hi', { command: other(silent) })).toMatchObject({ error: null, answer: null });
    const killed = node.script(
      'killed',
      `process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);`,
    );
    expect(await node.run('Hi', { command: other(killed) })).toMatchObject({
      exitCode: null,
      error: { code: 'program_failed', message: 'The program was ended by SIGKILL.' },
    });
  });

  it('reports what is missing: the program, the right to run it, or the folder', async () => {
    const missing = await node.run('Hi', { command: other('no-such-program-of-ours') });
    expect(missing).toMatchObject({ exitCode: null, error: { code: 'runner_missing', retryable: false } });
    const plain = join(node.folder, 'plain');
    writeFileSync(plain, 'text');
    expect((await node.run('Hi', { command: other(plain) })).error?.code).toBe('runner_missing');
    const gone = await node.run('Hi', { cwd: join(node.folder, 'gone') });
    expect(gone.error).toMatchObject({ code: 'folder_missing', message: expect.stringContaining('gone') });
    expect(node.groups.started).toEqual([]);
  });

  it('does not require a program to read its prompt', async () => {
    const deaf = node.script('deaf', `require('node:fs').closeSync(0); console.log('done');`);
    expect((await node.run('x'.repeat(5_000_000), { command: other(deaf) })).answer).toBe('done\n');
  });
});

describe('an unusable session', () => {
  it('gives a note, and the run continues without it', async () => {
    writeFileSync(node.sessionsDir, 'a file where the folder should be');
    const outcome = await node.run('Hi');
    expect(outcome).toMatchObject({ answer: 'You said: Hi', error: null });
    expect(outcome.notes).toEqual([
      expect.stringMatching(/could not be read/),
      expect.stringMatching(/could not be written/),
    ]);
  });
});
