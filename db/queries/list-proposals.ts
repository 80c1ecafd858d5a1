import { and, desc, eq, inArray, sql } from 'drizzle-orm';
import type { Blob } from '../../contract/tasks/runs.ts';
import type { ListProposals, Proposal } from '../../contract/projects/proposals.ts';
import type { Database } from '../connect.ts';
import { toProposal } from '../proposal-rows.ts';
import { proposals, runtimeArtifacts } from '../schema.ts';

/**
 * Returns a page of proposals, the newest first.
 * @returns the page, and where the next one begins; null when this is the last
 */
export async function listProposals(
  db: Database,
  { limit, status, project_id, task_id, cursor }: ListProposals,
): Promise<{ page: Proposal[]; next: string | null }> {
  const [, at, id] = /^(\d+)_(.*)$/s.exec(cursor ?? '') ?? [];
  const where = and(
    status === undefined ? undefined : eq(proposals.status, status),
    project_id === undefined ? undefined : eq(proposals.project_id, project_id),
    task_id === undefined ? undefined : eq(proposals.task_id, task_id),
    at === undefined
      ? undefined
      : sql`(${proposals.created_at}, ${proposals.id}) < (${Number(at)}::bigint, ${id})`,
  );
  const rows = await db.run((executor) =>
    executor
      .select()
      .from(proposals)
      .where(where)
      .orderBy(desc(proposals.created_at), desc(proposals.id))
      .limit(limit + 1),
  );
  const page = rows.slice(0, limit).map(toProposal);
  const last = page.at(-1);
  const next = rows.length > limit && last !== undefined ? `${last.created_at}_${last.id}` : null;
  return { page, next };
}

/**
 * Returns a proposal and the location of its artifact's bytes (null once they are gone). Null when there is
 * no such proposal.
 */
export async function getProposal(
  db: Database,
  input: { id: string },
): Promise<{ proposal: Proposal; blob: Blob | null } | null> {
  const [row] = await db.run((executor) =>
    executor
      .select({ proposal: proposals, artifact: runtimeArtifacts })
      .from(proposals)
      .leftJoin(runtimeArtifacts, eq(runtimeArtifacts.id, proposals.artifact_id))
      .where(eq(proposals.id, input.id)),
  );
  if (row === undefined) return null;
  const { artifact } = row;
  const blob =
    artifact === null || artifact.expired_at !== null
      ? null
      : { sha256: artifact.sha256, bytes: artifact.bytes };
  return { proposal: toProposal(row.proposal), blob };
}

/** Returns proposals that a workflow is working on, as far as PostgreSQL knows. */
export async function listOpenProposals(db: Database): Promise<Proposal[]> {
  const rows = await db.run((executor) =>
    executor
      .select()
      .from(proposals)
      .where(inArray(proposals.status, ['approved', 'applying'])),
  );
  return rows.map(toProposal);
}
