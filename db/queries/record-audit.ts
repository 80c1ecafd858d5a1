import { randomUUID } from 'node:crypto';
import type { AuditEntry } from '../../contract/audit.ts';
import type { Executor } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { auditLogs } from '../schema.ts';

/** Maximum number of characters stored of a detail or a cause. */
const MAX_DETAIL_CHARS = 500;

/** A new entry, and its event's key: an entry with an existing key is left out. */
export interface NewAudit extends AuditEntry {
  readonly eventKey: string;
}

/** Who did something, and why. */
export type AuditBy = Pick<AuditEntry, 'actor' | 'cause'>;

/** Returns the cause of a change that no person requested. */
export const byEngine = (cause: string): AuditBy => ({ actor: 'engine', cause });

/** Returns a unique key for an event, for a transaction that is not retried after its commit. */
export const newEventKey = (action: string): string => `${action}:${randomUUID()}`;

/** Returns the entry for a change of settings. */
export function configAuditEntry(action: string, detail: string, by: AuditBy, timestamp: number): NewAudit {
  return {
    eventKey: newEventKey(action),
    action,
    entity_type: 'runtime_config',
    // The original's value: there is one.
    entity_id: 'singleton',
    ...by,
    detail,
    correlation_id: 'singleton',
    timestamp,
  };
}

/** Returns the entry for a single event about one thing, independent of a larger request. */
export function auditEntry(
  entity: { readonly type: NewAudit['entity_type']; readonly id: string },
  action: string,
  told: AuditBy & { readonly detail: string },
  timestamp: number,
): NewAudit {
  return {
    eventKey: newEventKey(action),
    action,
    entity_type: entity.type,
    entity_id: entity.id,
    ...told,
    correlation_id: entity.id,
    timestamp,
  };
}

/** Returns the entry for an action on a space. */
export const spaceAuditEntry = (
  action: string,
  cid: string,
  told: AuditBy & { readonly detail: string },
  timestamp: number,
): NewAudit => auditEntry({ type: 'membridge_project', id: cid }, action, told, timestamp);

/**
 * Adds entries to the audit log in the transaction of the change that they describe: both exist or neither.
 * Details must not contain prompts, outputs or secrets.
 */
export async function recordAudit(tx: Executor, entries: readonly NewAudit[]): Promise<void> {
  if (entries.length === 0) return;
  await tx
    .insert(auditLogs)
    .values(
      entries.map(({ eventKey, detail, cause, ...entry }) => ({
        ...entry,
        event_key: eventKey,
        detail: singleLine(detail, MAX_DETAIL_CHARS),
        cause: singleLine(cause, MAX_DETAIL_CHARS),
      })),
    )
    .onConflictDoNothing({ target: auditLogs.event_key });
}
