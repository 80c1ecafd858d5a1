import { randomUUID } from 'node:crypto';
import type { AuditEntry } from '../../contract/audit.ts';
import type { Executor } from '../connect.ts';
import { singleLine } from '../single-line.ts';
import { auditLogs } from '../schema.ts';

/** Characters of a detail or a cause that are kept. */
const LONGEST = 500;

/** An entry to be written, and what names its event: an entry under a key that is there already is left out. */
export interface NewAudit extends AuditEntry {
  readonly eventKey: string;
}

/** Who did something, and why. */
export type AuditBy = Pick<AuditEntry, 'actor' | 'cause'>;

/** What nobody asked for. */
export const byEngine = (cause: string): AuditBy => ({ actor: 'engine', cause });

/** The key of an event that happens once by itself: its transaction is not tried again after it was committed. */
export const newEventKey = (action: string): string => `${action}:${randomUUID()}`;

/** The entry of a change of settings. */
export function configEntry(action: string, detail: string, by: AuditBy, timestamp: number): NewAudit {
  return {
    eventKey: newEventKey(action),
    action,
    entity_type: 'runtime_config',
    // The original's: there is one.
    entity_id: 'singleton',
    ...by,
    detail,
    correlation_id: 'singleton',
    timestamp,
  };
}

/** Makes the entry of something that happened once to one thing, and that belongs to no larger request. */
export function entryAbout(
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

/** Makes the entry of something that was done to a space. */
export const spaceEntry = (
  action: string,
  cid: string,
  told: AuditBy & { readonly detail: string },
  timestamp: number,
): NewAudit => entryAbout({ type: 'membridge_project', id: cid }, action, told, timestamp);

/**
 * Adds to the audit log, in the transaction of the change that it tells of: one is not there without the other. Details must not
 * hold prompts, outputs or secrets.
 */
export async function recordAudit(tx: Executor, entries: readonly NewAudit[]): Promise<void> {
  if (entries.length === 0) return;
  await tx
    .insert(auditLogs)
    .values(
      entries.map(({ eventKey, detail, cause, ...entry }) => ({
        ...entry,
        event_key: eventKey,
        detail: singleLine(detail, LONGEST),
        cause: singleLine(cause, LONGEST),
      })),
    )
    .onConflictDoNothing({ target: auditLogs.event_key });
}
