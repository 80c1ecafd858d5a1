import { badField } from '../../contract/errors.ts';
import { checkReferences, taskIdForKey } from '../../activities/control/make-task.ts';
import { randomBytes } from 'node:crypto';
import { CreateTask, type CreateBatch, type Task } from '../../contract/tasks/tasks.ts';
import { findExistingTasks } from '../../db/queries/find-tasks.ts';
import type { Deps } from '../deps.ts';
import { invalidInputError } from '../http/problems.ts';
import { makeTask, makeTaskDeps } from './create.ts';

/**
 * Makes tasks that may depend on each other. Everything is checked first. If Temporal fails half-way, the tasks made
 * so far stay, and a repeated request with the same key makes the rest.
 * @throws MembridgeError bad_request naming the task and field
 */
export async function makeBatch(
  deps: Deps,
  { tasks }: CreateBatch,
  { by, key }: { by: string; key: string | null },
): Promise<Task[]> {
  const base = key ?? randomBytes(16).toString('hex');
  const keyOf = (index: number): string => `${base}#${index}`;
  const idOfRef = new Map<string, string>();
  const bodies = tasks.map(({ ref, ...given }, index) => {
    const at = `tasks.${index}`;
    const dependsOn = given.depends_on.map((name) => idOfRef.get(name) ?? name);
    if (ref !== undefined) {
      if (idOfRef.has(ref)) throw badField(`${at}.ref`, `${ref} is used twice`);
      idOfRef.set(ref, taskIdForKey(keyOf(index)));
    }
    const parsed = CreateTask.safeParse({ ...given, depends_on: dependsOn });
    if (parsed.success) return parsed.data;
    const isReference = parsed.error.issues.some((issue) => issue.path[0] === 'depends_on');
    if (isReference) {
      throw badField(
        `${at}.depends_on`,
        'must name the ref of an earlier task of the batch, or the id of a task',
      );
    }
    throw invalidInputError(at, parsed.error);
  });
  // Tasks of an earlier request with this key stay valid, even if what they depend on has changed since.
  const before = new Set(
    await findExistingTasks(deps.db, { ids: bodies.map((_, index) => taskIdForKey(keyOf(index))) }),
  );
  const ids = new Set(idOfRef.values());
  for (const [index, body] of bodies.entries()) {
    if (before.has(taskIdForKey(keyOf(index)))) continue;
    await checkReferences(makeTaskDeps(deps), body, { at: `tasks.${index}.`, made: ids });
  }
  const made: Task[] = [];
  for (const [index, body] of bodies.entries()) {
    made.push((await makeTask(deps, body, { by, key: keyOf(index), scheduleId: null })).task);
  }
  return made;
}
