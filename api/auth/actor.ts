import type { AuditBy } from '../../db/queries/record-audit.ts';
import type { Caller } from '../http/route.ts';

/** How logs name who did something. */
export const nameOf = (caller: Caller): string =>
  caller.kind === 'browser' ? 'page' : caller.kind === 'admin' ? 'admin' : 'api';

/** Who asked for something, as the audit log tells it. */
export const byOf = (caller: Caller): AuditBy => ({
  actor: nameOf(caller),
  cause:
    caller.kind === 'browser' ? 'somebody asked for it on the page' : 'somebody asked for it over the API',
});
