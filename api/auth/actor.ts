import type { AuditBy } from '../../db/queries/record-audit.ts';
import type { Caller } from '../http/route.ts';

/** Returns how logs name the actor. */
export const actorName = (caller: Caller): string =>
  caller.kind === 'browser' ? 'page' : caller.kind === 'admin' ? 'admin' : 'api';

/** Returns who asked for something, as the audit log records it. */
export const auditByCaller = (caller: Caller): AuditBy => ({
  actor: actorName(caller),
  cause:
    caller.kind === 'browser' ? 'somebody asked for it on the page' : 'somebody asked for it over the API',
});
