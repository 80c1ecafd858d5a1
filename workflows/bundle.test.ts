import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { workflowBundle } from './bundle.ts';

it('the workflow bundle contains no schemas, because every workflow instance would evaluate them', async () => {
  const bundle = readFileSync(await workflowBundle(), 'utf8');
  const modules = [...bundle.matchAll(/^\/\*\*\*\/ "\.\/([^"]+)"/gm)].map(([, name = '']) => name);
  expect(modules).toContain('workflows/llm-task.ts');
  expect(modules.filter((name) => name.startsWith('contract/'))).toEqual([
    'contract/names.ts',
    'contract/tasks/task-status.ts',
  ]);
  expect(modules.filter((name) => name.includes('/zod/'))).toEqual([]);
});
