import { MembridgeError } from '../../contract/errors.ts';
import type { Space } from '../../contract/memory/memory.ts';
import type { PublishMirror } from '../../contract/memory/mirror.ts';
import { recordMirrorRequested } from '../../db/queries/record-mirror-requested.ts';
import { getLeadership } from '../../db/queries/record-leadership.ts';
import { requestMirror } from '../../engine/leadership-workflows.ts';
import { newJobId } from '../../engine/memory-workflows.ts';
import type { Deps } from '../deps.ts';
import { callEngine } from '../engine/engine-calls.ts';
import { auditByCaller } from '../auth/actor.ts';
import type { Caller } from '../http/route.ts';

/**
 * Asks the primary of a space to import what machines with the original's scripts pushed, and to publish the mirror
 * now.
 * @throws MembridgeError conflict when the mirror is off or the space has no primary; engine_unavailable,
 * database_unavailable
 */
export async function publishMirror(
  deps: Deps,
  input: { space: Space; agreed: PublishMirror; caller: Caller },
): Promise<{ job_id: string; node_id: string }> {
  const { space, agreed, caller } = input;
  const { canonical_id: cid, name } = space;
  if (!space.mirror || space.encrypted) {
    throw new MembridgeError(
      'conflict',
      space.encrypted
        ? `${name} is encrypted, and a mirror is a plain database. Turn the encryption of the space off to publish one.`
        : `The mirror of ${name} is off. Turn it on in the settings of the space first.`,
    );
  }
  const known = await getLeadership(deps.db, { cid, now: deps.now() });
  const node = known?.status === 'active' ? known.primary_node_id : null;
  if (known === null || node === null) {
    throw new MembridgeError(
      'conflict',
      `${name} has no primary, which publishes the mirror. Choose one under Leadership, or run "membridge legacy publish" on a node.`,
    );
  }
  const jobId = newJobId();
  const ref = await callEngine(deps.engine, (client) => requestMirror(client, known, { ...agreed, jobId }));
  await recordMirrorRequested(deps.db, {
    cid,
    project: name,
    node,
    jobId,
    trigger: caller.kind === 'browser' ? 'button' : 'api',
    ...ref,
    agreed,
    by: auditByCaller(caller),
    now: deps.now(),
  });
  return { job_id: jobId, node_id: node };
}
