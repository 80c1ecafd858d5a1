import { eq } from 'drizzle-orm';
import { MembridgeError } from '../../contract/errors.ts';
import type { NodeFacts } from '../../contract/nodes/nodes.ts';
import type { Database } from '../connect.ts';
import { enrolmentTokens, nodes } from '../schema.ts';
import { toNode } from '../to-contract.ts';
import { emitEvents } from './emit-events.ts';
import { retireKey, reviveKey } from './retire-key.ts';
import { newEventKey, recordAudit } from './record-audit.ts';

/** The input of an enrollment; secrets are given as SHA-256 in hex. */
export interface EnrolNodeInput {
  readonly tokenHash: string;
  readonly nodeId: string;
  readonly keyHash: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  readonly now: number;
}

/**
 * Consumes an enrollment token and records its node. The new key replaces that of an existing node only if
 * the token was made for exactly that node. Otherwise any token could take over a machine's identity.
 * @throws MembridgeError unauthorized (unknown, used or expired token), forbidden (made for another node),
 * conflict
 */
export async function enrolNode(db: Database, input: EnrolNodeInput): Promise<void> {
  await db.transaction(async (tx) => {
    const [token] = await tx
      .select()
      .from(enrolmentTokens)
      .where(eq(enrolmentTokens.token_hash, input.tokenHash))
      .for('update');
    if (token === undefined) throw refused('is not known');
    if (token.used_at !== null) throw refused(`was used already, by ${token.used_by ?? 'a node'}`);
    if (token.expires_at <= input.now) throw refused('has expired');
    if (token.node_id !== null && token.node_id !== input.nodeId) {
      throw new MembridgeError(
        'forbidden',
        `This enrolment token was made for node ${token.node_id}, not for ${input.nodeId}.`,
      );
    }
    await tx
      .update(enrolmentTokens)
      .set({ used_at: input.now, used_by: input.nodeId })
      .where(eq(enrolmentTokens.token_hash, input.tokenHash));
    const [known] = await tx
      .select({ publicKey: nodes.public_key, pools: nodes.pools })
      .from(nodes)
      .where(eq(nodes.id, input.nodeId));
    const isNew = known === undefined;
    await reviveKey(tx, input.publicKey);
    if (known !== undefined && known.publicKey !== input.publicKey) {
      await retireKey(tx, { node: input.nodeId, publicKey: known.publicKey }, input.now);
    }
    const identity = {
      key_hash: input.keyHash,
      public_key: input.publicKey,
      facts: input.facts,
      pools: [...new Set([...(known?.pools ?? []), ...token.pools])],
    };
    const insert = tx
      .insert(nodes)
      .values({ id: input.nodeId, ...identity, registered_at: input.now, install_method: 'enrolled' });
    const [row] =
      token.node_id === null
        ? await insert.onConflictDoNothing().returning()
        : await insert.onConflictDoUpdate({ target: nodes.id, set: identity }).returning();
    if (row === undefined) {
      throw new MembridgeError(
        'conflict',
        `A node named ${input.nodeId} exists. To enrol that machine again, make a token for exactly this node id; for another machine, choose another name.`,
      );
    }
    await recordAudit(tx, [
      {
        eventKey: newEventKey('worker_registered'),
        action: isNew ? 'worker_registered' : 'worker_updated',
        entity_type: 'worker',
        entity_id: input.nodeId,
        actor: input.nodeId,
        detail: isNew
          ? `${input.nodeId} on ${input.facts.hostname}`
          : `${input.nodeId} has a new key; the one before is revoked`,
        cause: `it enrolled with a token made for ${token.node_id === null ? 'any node' : 'it'}`,
        correlation_id: input.nodeId,
        timestamp: input.now,
      },
    ]);
    await emitEvents(tx, [{ type: 'node', node: toNode(row, input.now) }], input.now);
  });
}

function refused(why: string): MembridgeError {
  return new MembridgeError(
    'unauthorized',
    `This enrolment token ${why}. Make a new one (POST /api/runtime/enrolment-tokens).`,
  );
}
