import { expect, it } from 'vitest';
import type { ServerEvent } from '../../../contract/events.ts';
import type { Leadership } from '../../../contract/leadership.ts';
import type { ManagedProject, ProjectNodeStatus } from '../../../contract/projects.ts';
import { applyToLeadership } from './apply-events.ts';
import { applyToProjects } from './apply-project-events.ts';

const row = (project: string, node: string, detail = ''): ProjectNodeStatus =>
  ({ id: `${project} ${node}`, project_id: project, node_id: node, detail }) as ProjectNodeStatus;
const project = (id: string, ...nodes: ProjectNodeStatus[]): ManagedProject =>
  ({ id, name: id, nodes }) as ManagedProject;

const rowEvent = (status: ProjectNodeStatus): ServerEvent => ({
  type: 'project-node',
  status,
  clone_status: 'cloning',
  error_message: null,
});
/** What a row's event says of its project. */
const cloning = { clone_status: 'cloning', error_message: null } as const;

it('keeps the same list when no event touches it', () => {
  const projects = [project('a')];
  const events: ServerEvent[] = [
    { type: 'node-removed', id: 'n' },
    rowEvent(row('gone', 'n')),
    { type: 'project-removed', id: 'gone' },
  ];
  expect(applyToProjects(projects, events)).toBe(projects);
});

it('replaces the one row that an event tells of, and leaves every other object as it was', () => {
  const before = [project('a', row('a', 'x'), row('a', 'y')), project('b', row('b', 'x'))];
  const after = applyToProjects(before, [
    rowEvent(row('a', 'x', 'receiving objects')),
    rowEvent(row('a', 'x', 'checking out files')),
  ]);
  expect(after[0]?.nodes.map(({ detail }) => detail)).toEqual(['checking out files', '']);
  expect(after[0]?.nodes[1]).toBe(before[0]?.nodes[1]);
  expect(after[1]).toBe(before[1]);
  expect(before[0]?.nodes[0]?.detail).toBe('');
});

it('adds a row for a node that had none, and takes projects in and away in the order of their events', () => {
  const after = applyToProjects(
    [project('a')],
    [
      rowEvent(row('a', 'x')),
      { type: 'project', project: project('b', row('b', 'x')) },
      rowEvent(row('b', 'x', 'later')),
      { type: 'project-removed', id: 'a' },
    ],
  );
  expect(after).toEqual([{ ...project('b', row('b', 'x', 'later')), ...cloning }]);
  const again: ServerEvent[] = [
    rowEvent(row('b', 'x', 'before')),
    { type: 'project', project: project('b', row('b', 'x', 'after')) },
  ];
  expect(applyToProjects(after, again)).toEqual([project('b', row('b', 'x', 'after'))]);
});

it('keeps the row objects that an event of the whole project repeats', () => {
  const before = [project('a', row('a', 'x'), row('a', 'y'))];
  const told = project('a', row('a', 'x'), row('a', 'y', 'new'));
  const after = applyToProjects(before, [{ type: 'project', project: told }]);
  expect(after[0]?.nodes[0]).toBe(before[0]?.nodes[0]);
  expect(after[0]?.nodes[1]).toBe(told.nodes[1]);
});

it('takes the leadership of its own space alone', () => {
  const of = (cid: string, epoch: number) => ({ canonical_id: cid, epoch }) as Leadership;
  const before = of('a', 1);
  expect(applyToLeadership(before, [{ type: 'leadership', leadership: of('b', 9) }])).toBe(before);
  const after = of('a', 2);
  expect(applyToLeadership(before, [{ type: 'leadership', leadership: after }])).toBe(after);
});
