import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectSummary, ProjectNodeStatus } from '../../../../contract/projects/projects.ts';
import { compareNames } from '../../format/order.ts';
import { hasClone, isUnderWay } from '../../format/project-words.ts';
import { presenceOf } from '../../live/presence.ts';

/** One node of the fleet with its clone. Made of primitive parts, so that a row can detect whether it changed. */
export interface MatrixRow {
  readonly node: string;
  /** Null when the node has no part in the project yet. */
  readonly clone: ProjectNodeStatus | null;
  readonly presence: 'online' | 'offline' | 'gone';
  readonly isPrimary: boolean;
}

/** Returns every node of the fleet, and removed nodes that had a clone; by name. */
export function buildMatrix(
  project: Pick<ProjectSummary, 'primary_node_id'>,
  known: readonly ProjectNodeStatus[],
  fleet: readonly Node[],
  now: number,
): MatrixRow[] {
  const clones = new Map(known.map((clone) => [clone.node_id, clone]));
  const rows = fleet.map((node): MatrixRow => {
    const clone = clones.get(node.id) ?? null;
    clones.delete(node.id);
    const presence = presenceOf(node, now) === 'online' ? 'online' : 'offline';
    return { node: node.id, clone, presence, isPrimary: node.id === project.primary_node_id };
  });
  for (const [node, clone] of clones) {
    rows.push({ node, clone, presence: 'gone', isPrimary: node === project.primary_node_id });
  }
  return rows.sort((a, b) => compareNames(a.node, b.node));
}

/** The filters of rows. */
export const ROW_FILTERS = {
  all: { label: 'All nodes', takes: () => true },
  with: { label: 'With a clone', takes: ({ clone }: MatrixRow) => clone !== null && hasClone(clone) },
  without: { label: 'Without a clone', takes: ({ clone }: MatrixRow) => clone === null || !hasClone(clone) },
  busy: { label: 'Under way', takes: ({ clone }: MatrixRow) => clone !== null && isUnderWay(clone) },
  failed: { label: 'Failed', takes: ({ clone }: MatrixRow) => clone?.clone_status === 'failed' },
  differs: {
    label: 'Differs from the remote',
    takes: ({ clone }: MatrixRow) => ((clone?.behind ?? 0) || (clone?.ahead ?? 0) || (clone?.dirty ?? 0)) > 0,
  },
} as const satisfies Record<string, { label: string; takes: (row: MatrixRow) => boolean }>;
export type RowFilter = keyof typeof ROW_FILTERS;
