import { z } from 'zod';
import { EpochMs } from './http/primitives.ts';

/** The kind of thing that an entry of the audit log is about: the original's kinds, and ours. */
export const AuditEntity = z.enum([
  'llm_task',
  'lease',
  'worker',
  'managed_project',
  'membridge_project',
  'leadership',
  'proposal',
  'task_schedule',
  'runtime_config',
  'session',
  'enrolment_token',
]);
export type AuditEntity = z.infer<typeof AuditEntity>;

/** One event. PostgreSQL itself refuses to change or delete entries. */
export const AuditEntry = z.strictObject({
  /** `task_created`, `task_leased`, `lease_expired`, …; the original's names where it had one. */
  action: z.string(),
  entity_type: AuditEntity,
  entity_id: z.string(),
  /** The actor: `admin`, `api`, `page`, `engine`, or the id of a worker. */
  actor: z.string(),
  /** What happened, for people. Never a prompt, an output or a secret. */
  detail: z.string(),
  /** The reason: what caused it. */
  cause: z.string(),
  /** Links related entries: the id of the task, or of the request that started it. */
  correlation_id: z.string(),
  timestamp: EpochMs,
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** An entry with its place in the log. */
export const AuditLog = z.strictObject({ id: z.string(), ...AuditEntry.shape });
export type AuditLog = z.infer<typeof AuditLog>;

/** `GET /api/runtime/audit`: newest first. */
export const ListAudit = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  /** Returns entries before this id: the last id of the previous page. */
  before: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional(),
  action: z.string().max(64).optional(),
  entity_type: AuditEntity.optional(),
  entity_id: z.string().max(256).optional(),
  actor: z.string().max(256).optional(),
  correlation_id: z.string().max(256).optional(),
});
export type ListAudit = z.infer<typeof ListAudit>;

/** `GET /api/runtime/audit/export`: all matching entries, oldest first. */
export const ExportAudit = z.strictObject({
  ...ListAudit.omit({ limit: true, before: true }).shape,
  format: z.enum(['jsonl', 'csv']).default('jsonl'),
});
export type ExportAudit = z.infer<typeof ExportAudit>;

/** An entry in an export, with its link of the chain; null for one that was written while the export began. */
export const ExportedAudit = z.strictObject({
  ...AuditLog.shape,
  chain_position: z.number().int().nullable(),
  chain_hash: z.string().nullable(),
  chain_signature: z.string().nullable(),
});
export type ExportedAudit = z.infer<typeof ExportedAudit>;

/** The filters that select entries. */
export type AuditFilter = Omit<ListAudit, 'limit' | 'before'>;

/** `GET /api/runtime/audit/proof`: an earlier end of the chain, which must still be in it. */
export const ProveAudit = z.strictObject({
  position: z.coerce.number().int().positive().optional(),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type ProveAudit = z.infer<typeof ProveAudit>;

/** Whether the audit log is unchanged since it was written. */
export const AuditProof = z.strictObject({
  intact: z.boolean(),
  /** What is wrong, for people; null when nothing is. */
  problem: z.string().nullable(),
  /** How many entries the chain has, up to the problem if there is one. */
  entries: z.number().int(),
  /** The chain's hash at that entry. Keep it with `entries` in a safe place, and pass both later as `hash` and `position`. */
  hash: z.string(),
  signature: z.string().nullable(),
  /** The public key of the signatures: Ed25519, SPKI DER in base64. */
  public_key: z.string(),
  /** Whether the database role of Membridge could change entries, because it owns the table or is a superuser. */
  role_can_alter: z.boolean(),
});
export type AuditProof = z.infer<typeof AuditProof>;
