import { eq, isNotNull } from 'drizzle-orm';
import type { Membership } from '../../contract/memory/membership.ts';
import type { Database } from '../connect.ts';
import { allowedDeletions, nodes, retiredKeys, settings, spaces } from '../schema.ts';

const MEMBERSHIP_SINCE_SETTING = 'membership_since';

/**
 * Reads the membership of all spaces. Rows are sorted, so that equal data gives equal bytes and an equal
 * signature.
 * @param input.now when this record begins, if none has begun yet, epoch milliseconds
 */
export async function readMembership(
  db: Database,
  input: { now: number },
): Promise<Omit<Membership, 'signature'>> {
  return await db.run(async (sql) => {
    const readSince = async (): Promise<string | undefined> =>
      (await sql.select().from(settings).where(eq(settings.key, MEMBERSHIP_SINCE_SETTING)))[0]?.value;
    let since = await readSince();
    if (since === undefined) {
      await sql
        .insert(settings)
        .values({ key: MEMBERSHIP_SINCE_SETTING, value: String(input.now) })
        .onConflictDoNothing();
      // Another process may have been first.
      since = await readSince();
    }
    const retired = await sql.select().from(retiredKeys).orderBy(retiredKeys.key_id);
    const encrypted = await sql
      .select({ cid: spaces.cid, aliases: spaces.aliases, since: spaces.encrypted_since })
      .from(spaces)
      .where(isNotNull(spaces.encrypted_since));
    const sealing = await sql
      .select({ node: nodes.id, keys: nodes.sealing_key_ids })
      .from(nodes)
      .where(isNotNull(nodes.sealing_key_ids));
    const deletions = await sql
      .select()
      .from(allowedDeletions)
      .orderBy(allowedDeletions.cid, allowedDeletions.node_id);
    return {
      format: 'membridge-membership/1' as const,
      retired: retired.map(({ key_id, node_id: node, until }) => ({ node, key_id, until })),
      // Nodes also read objects under a space's former ids.
      encrypted: Object.fromEntries(
        encrypted.flatMap(({ cid, aliases, since: at }) => [cid, ...aliases].map((id) => [id, at ?? 0])),
      ),
      sealing: Object.fromEntries(sealing.map(({ node, keys }) => [node, keys ?? []])),
      deletions: deletions.map(({ cid: space, node_id: node, until }) => ({ space, node, until })),
      since: Number(since ?? input.now),
    };
  });
}
