import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { workflowBundle } from './bundle.ts';
import * as workflows from './index.ts';

const FOLDER = join(import.meta.dirname, 'histories');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
const text = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');

async function replay(history: unknown): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: { codePath: await workflowBundle() } }, history);
}

describe('the current workflow code', () => {
  it('has recorded histories of every workflow', () => {
    for (const type of Object.keys(workflows)) {
      expect(files.filter((file) => file.startsWith(type)).length).toBeGreaterThanOrEqual(1);
    }
  });

  it.each(files)('takes the recorded path in %s', async (file) => {
    await replay(historyFromJSON(JSON.parse(text(file))));
  });

  it('has histories without any folder name of the recording machine', () => {
    const naming = files.filter((file) =>
      /[\w.-]\/(?:node_modules|workflows|agent|activities)\//.test(text(file)),
    );
    expect(naming).toEqual([]);
  });

  it('would fail a replay that takes another path', async () => {
    const file =
      files.find((name) => name.startsWith('syncMemory') && text(name).includes('pushMemory')) ?? '';
    const other = JSON.parse(text(file).replaceAll('"pushMemory"', '"pullMemory"')) as unknown;
    await expect(replay(historyFromJSON(other))).rejects.toThrow(DeterminismViolationError);
  });
});
