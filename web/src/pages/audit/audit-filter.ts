import { z } from 'zod';
import { AuditEntity } from '../../../../contract/audit.ts';
import type { AuditFilter } from '../../api/filters.ts';

const text = z.string().min(1).optional().catch(undefined);

/** What entries of the audit log are chosen by, as the page's address has it. */
export const AuditSearch = z.object({
  action: text,
  entity: AuditEntity.optional().catch(undefined),
  id: text,
  actor: text,
  correlation: text,
});
export type AuditSearch = z.infer<typeof AuditSearch>;

/** The same in the API's words; only what is asked. */
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
