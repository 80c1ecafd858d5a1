import { z } from 'zod';
import { AuditEntity } from '../../../../contract/audit.ts';
import type { AuditFilter } from '../../api/filters.ts';

const text = z.string().min(1).optional().catch(undefined);

/** The filters of the audit log in the page's address. */
export const AuditSearch = z.object({
  action: text,
  entity: AuditEntity.optional().catch(undefined),
  id: text,
  actor: text,
  correlation: text,
});
export type AuditSearch = z.infer<typeof AuditSearch>;

/** Returns the same for the API; only what is set. */
export function auditFilterOf(search: AuditSearch): AuditFilter {
  const all = {
    action: search.action,
    entity_type: search.entity,
    entity_id: search.id,
    actor: search.actor,
    correlation_id: search.correlation,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
