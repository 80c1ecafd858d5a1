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
  /** Nodes that reported within the last second, without any other change. The event has no id and is not replayed. */
  z.strictObject({
    type: z.literal('heartbeats'),
    nodes: z.array(z.strictObject({ id: NodeId, at: EpochMs })),
  }),
  z.strictObject({ type: z.literal('node-removed'), id: z.string() }),
  /** The facts of a space. The settings of its nodes may have changed with it. */
  z.strictObject({ type: z.literal('space'), space: SpaceFacts }),
  /** The result of the last round of one node in one space. */
  z.strictObject({ type: z.literal('space-node'), node: SpaceNode }),
  z.strictObject({ type: z.literal('space-removed'), canonical_id: z.string() }),
  z.strictObject({ type: z.literal('job'), job: Job }),
  /** A job's row was deleted: nobody had requested the job, and it had nothing to do. */
  z.strictObject({ type: z.literal('job-removed'), id: z.string() }),
  /** A managed project, with counts of its clones. A page that shows clones must read them again. */
  z.strictObject({ type: z.literal('project'), project: ProjectSummary }),
  /** The state of one clone, and of its project as far as it depends on the clone. Nothing else in the project changed. */
  z.strictObject({
    type: z.literal('project-node'),
    status: ProjectNodeStatus,
    clone_status: ProjectCloneStatus,
    clones: CloneCounts,
    error_message: z.string().nullable(),
  }),
  z.strictObject({ type: z.literal('project-removed'), id: z.string() }),
  z.strictObject({ type: z.literal('leadership'), leadership: Leadership }),
  /** A task with its prompt cut short, and the lease that began or ended with this change. */
  z.strictObject({ type: z.literal('task'), task: Task, lease: Lease.nullable() }),
  z.strictObject({ type: z.literal('proposal'), proposal: Proposal }),
  /** Retention removed events that the client has not seen: it must load its lists again. */
  z.strictObject({ type: z.literal('reset') }),
]);
export type ServerEvent = z.infer<typeof ServerEvent>;
