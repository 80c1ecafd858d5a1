import { expect, it } from 'vitest';
import type { ServerEvent } from '../../../contract/events.ts';
import type { Leadership } from '../../../contract/memory/leadership.ts';
import {
  countClones,
  type ProjectNodeStatus,
  type ProjectSummary,
} from '../../../contract/projects/projects.ts';
import { applyToLeadership } from './apply-events.ts';
import { applyToClones, applyToProjects } from './apply-project-events.ts';

const row = (project: string, node: string, detail = ''): ProjectNodeStatus =>
  ({ id: `${project} ${node}`, project_id: project, node_id: node, detail }) as ProjectNodeStatus;
const project = (id: string): ProjectSummary =>
  ({ id, name: id, clones: countClones([]) }) as unknown as ProjectSummary;

/** A clone event's part about its project. */
const cloning = {
  clone_status: 'cloning',
  clones: { ...countClones([]), total: 1, cloning: 1 },
  error_message: null,
} as const;
const rowEvent = (status: ProjectNodeStatus): ServerEvent => ({ type: 'project-node', status, ...cloning });

it('keeps the same list when no event touches it', () => {
  const projects = [project('a')];
  const clones = [row('a', 'x')];
  const events: ServerEvent[] = [
    { type: 'node-removed', id: 'n' },
    rowEvent(row('gone', 'n')),
    { type: 'project-removed', id: 'gone' },
  ];
  expect(applyToProjects(projects, events)).toBe(projects);
  expect(applyToClones(clones, events, 'a')).toBe(clones);
});

it('replaces only the clone that an event names, and keeps every other object', () => {
  const before = [row('a', 'x'), row('a', 'y')];
  const after = applyToClones(
    before,
    [rowEvent(row('a', 'x', 'receiving objects')), rowEvent(row('a', 'x', 'checking out files'))],
    'a',
  );
  expect(after.map(({ detail }) => detail)).toEqual(['checking out files', '']);
  expect(after[1]).toBe(before[1]);
  expect(before[0]?.detail).toBe('');
});

it('adds the clone of a node that had none', () => {
  const added = row('a', 'y');
  const events = [rowEvent(added), rowEvent(row('b', 'x'))];
  expect(applyToClones([row('a', 'x')], events, 'a')).toEqual([row('a', 'x'), added]);
});

it('removes the clone of a removed node, and adds its clone again when the node returns', () => {
  const before = [row('a', 'x'), row('a', 'y')];
  const removed: ServerEvent = { type: 'node-removed', id: 'x' };
  expect(applyToClones(before, [rowEvent(row('a', 'x', 'late')), removed], 'a')).toEqual([row('a', 'y')]);
  const again = row('a', 'x', 'receiving objects');
  expect(applyToClones(before, [removed, rowEvent(again)], 'a')).toEqual([again, row('a', 'y')]);
});

it('counts clones by their events, and adds and removes projects in the order of events', () => {
  const after = applyToProjects(
    [project('a'), project('c')],
    [
      rowEvent(row('a', 'x')),
      { type: 'project', project: project('b') },
      rowEvent(row('b', 'x')),
      { type: 'project-removed', id: 'a' },
    ],
  );
  expect(after).toEqual([project('c'), { ...project('b'), ...cloning }]);
  const again: ServerEvent[] = [rowEvent(row('b', 'x')), { type: 'project', project: project('b') }];
  expect(applyToProjects(after, again)).toEqual([project('c'), project('b')]);
});

it('applies the leadership of its own space only', () => {
  const of = (cid: string, epoch: number) => ({ canonical_id: cid, epoch }) as Leadership;
  const before = of('a', 1);
  expect(applyToLeadership(before, [{ type: 'leadership', leadership: of('b', 9) }])).toBe(before);
  const after = of('a', 2);
  expect(applyToLeadership(before, [{ type: 'leadership', leadership: after }])).toBe(after);
});
