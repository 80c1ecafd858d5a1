import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Database } from './connect.ts';
import { translateDatabaseError } from './errors.ts';

/** Tables that the runtime role may only add to. */
const APPEND_ONLY = ['audit_logs', 'audit_chain'];

/**
 * Makes the role that the control plane works with, if it is another one than the owner of the schema, and gives it what it needs: it
 * reads and writes rows, and can neither change the schema nor what the audit log holds.
 * @param owner connected as the owner, after the migrations
 * @param runtimeUrl the address, with name and password, that the control plane connects with
 * @throws MembridgeError database_unavailable; Error when the owner may not make the role
 */
export async function prepareRuntimeRole(owner: Database, runtimeUrl: string): Promise<void> {
  const { username, password } = new URL(runtimeUrl);
  const name = decodeURIComponent(username);
  const role = escapeIdentifier(name);
  const client = await owner.pool.connect().catch((error: unknown) => {
    throw translateDatabaseError(error, 'start');
  });
  let broken: Error | undefined;
  try {
    const { rows } = await client.query<{ owner: string; exists: boolean }>(
      'select current_user as owner, exists(select 1 from pg_roles where rolname = $1) as exists',
      [name],
    );
    if (rows[0]?.owner === name) return;
    await client.query('begin');
    if (rows[0]?.exists === false) {
      await client.query(
        `create role ${role} login nosuperuser password ${escapeLiteral(decodeURIComponent(password))}`,
      );
    }
    await client.query(`
      grant usage on schema public to ${role};
      grant select, insert, update, delete on all tables in schema public to ${role};
      grant usage, select on all sequences in schema public to ${role};
      revoke update, delete on ${APPEND_ONLY.join(', ')} from ${role}`);
    await client.query('commit');
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error));
    throw translateDatabaseError(error, 'start');
  } finally {
    client.release(broken);
  }
}
