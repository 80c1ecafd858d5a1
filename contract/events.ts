import { z } from 'zod';
import { Leadership } from './memory/leadership.ts';
import { Job, SpaceFacts, SpaceNode } from './memory/memory.ts';
import { Node } from './nodes/nodes.ts';
import { EpochMs, NodeId } from './http/primitives.ts';
import { Lease } from './tasks/leases.ts';
import { CloneCounts, ProjectCloneStatus, ProjectNodeStatus, ProjectSummary } from './projects/projects.ts';
import { Task } from './tasks/tasks.ts';
import { Proposal } from './projects/proposals.ts';

/** Server-sent events of `GET /api/events`. The SSE id is the event's sequence number, for `Last-Event-ID`. */
export const ServerEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('node'), node: Node }),
  /**
   * Nodes that reported within the last second and have nothing else to say; it has no id of its own, and is not replayed.
   */
  z.strictObject({
    type: z.literal('heartbeats'),
    nodes: z.array(z.strictObject({ id: NodeId, at: EpochMs })),
  }),
  z.strictObject({ type: z.literal('node-removed'), id: z.string() }),
  /** What a space is. Settings of its nodes may have changed with it. */
  z.strictObject({ type: z.literal('space'), space: SpaceFacts }),
  /** What the last round of one node in one space came to. */
  z.strictObject({ type: z.literal('space-node'), node: SpaceNode }),
  z.strictObject({ type: z.literal('space-removed'), canonical_id: z.string() }),
  z.strictObject({ type: z.literal('job'), job: Job }),
  /** A job's row was deleted: nobody had asked for it, and it had nothing to do. */
  z.strictObject({ type: z.literal('job-removed'), id: z.string() }),
  /** A managed project, with counts of its clones. A page that shows clones reads them again. */
  z.strictObject({ type: z.literal('project'), project: ProjectSummary }),
  /**
   * How one clone stands, and what follows from it for the project. Nothing else of the project has changed.
   */
  z.strictObject({
    type: z.literal('project-node'),
    status: ProjectNodeStatus,
    clone_status: ProjectCloneStatus,
    clones: CloneCounts,
    error_message: z.string().nullable(),
  }),
  z.strictObject({ type: z.literal('project-removed'), id: z.string() }),
  z.strictObject({ type: z.literal('leadership'), leadership: Leadership }),
  /** A task, its prompt cut short, and the lease that began or ended with this change. */
  z.strictObject({ type: z.literal('task'), task: Task, lease: Lease.nullable() }),
  z.strictObject({ type: z.literal('proposal'), proposal: Proposal }),
  /** Events were lost to retention: the client must load its lists anew. */
  z.strictObject({ type: z.literal('reset') }),
]);
export type ServerEvent = z.infer<typeof ServerEvent>;
