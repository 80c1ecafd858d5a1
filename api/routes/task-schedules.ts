import { z } from 'zod';
import { CreateTaskSchedule, TaskSchedule, UpdateTaskSchedule } from '../../contract/tasks/tasks.ts';
import { listTaskSchedules } from '../../db/queries/task-schedules.ts';
import { defineRoute } from '../http/route.ts';
import {
  addTaskSchedule,
  changeTaskSchedule,
  dropTaskSchedule,
  requireTaskSchedule,
  showTaskSchedule,
} from '../tasks/schedules.ts';

const tag = 'Tasks';
const path = '/api/runtime/task-schedules';
const Id = z.strictObject({ id: z.string() });
const none = 'There is no such schedule';
const taken = 'Its name is taken';

export const taskScheduleRoutes = [
  defineRoute({
    method: 'get',
    path,
    auth: 'people',
    tag,
    summary: 'List the schedules that make tasks, by name',
    status: 200,
    response: z.array(TaskSchedule),
    handle: async (_call, deps) =>
      await Promise.all((await listTaskSchedules(deps.db)).map((row) => showTaskSchedule(deps, row))),
  }),
  defineRoute({
    method: 'post',
    path,
    auth: 'people',
    tag,
    summary: 'Make a schedule that makes tasks',
    description:
      'The cron expression has five fields, in UTC. Each run makes a task from the template, with auto_dispatch. Tasks of one schedule may overlap.',
    body: CreateTaskSchedule,
    status: 201,
    response: TaskSchedule,
    errors: { 409: taken },
    handle: async ({ body, caller }, deps) =>
      await showTaskSchedule(deps, await addTaskSchedule(deps, body, caller)),
  }),
  defineRoute({
    method: 'get',
    path: `${path}/:id`,
    auth: 'people',
    tag,
    summary: 'Get one schedule, with its next run',
    params: Id,
    status: 200,
    response: TaskSchedule,
    errors: { 404: none },
    handle: async ({ params }, deps) =>
      await showTaskSchedule(deps, await requireTaskSchedule(deps, params.id)),
  }),
  defineRoute({
    method: 'patch',
    path: `${path}/:id`,
    auth: 'people',
    tag,
    summary: 'Change, pause or resume a schedule',
    params: Id,
    body: UpdateTaskSchedule,
    status: 200,
    response: TaskSchedule,
    errors: { 404: none, 409: taken },
    handle: async ({ params, body, caller }, deps) =>
      await showTaskSchedule(deps, await changeTaskSchedule(deps, params.id, body, caller)),
  }),
  defineRoute({
    method: 'delete',
    path: `${path}/:id`,
    auth: 'people',
    tag,
    summary: 'Remove a schedule; its tasks stay',
    params: Id,
    status: 200,
    response: z.strictObject({ removed: z.literal(true), id: z.string() }),
    errors: { 404: none },
    handle: async ({ params, caller }, deps) => {
      await dropTaskSchedule(deps, params.id, caller);
      return { removed: true as const, id: params.id };
    },
  }),
];
