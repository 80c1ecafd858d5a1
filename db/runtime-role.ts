import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Database } from './connect.ts';
import { translateDatabaseError } from './errors.ts';

/** Tables in which the runtime role may only insert rows. */
const APPEND_ONLY = ['audit_logs', 'audit_chain'];

/**
 * Creates the control plane's role, if it differs from the owner of the schema, and grants what it needs. The
 * role reads and writes rows. It can change neither the schema nor the existing entries of the audit log.
 * @param owner connected as the owner, after the migrations
 * @param runtimeUrl the control plane's address, with name and password
 * @throws MembridgeError database_unavailable; Error when the owner may not create the role
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
