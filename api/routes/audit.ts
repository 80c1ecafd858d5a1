import { z } from 'zod';
import { AuditLog, AuditProof, ExportAudit, ListAudit, ProveAudit } from '../../contract/audit.ts';
import { listAudit } from '../../db/queries/list-audit.ts';
import { proveAudit } from '../audit/chain.ts';
import { exportAudit } from '../audit/export.ts';
import { defineRoute } from '../http/route.ts';

const tag = 'Audit';

export const auditRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/runtime/audit',
    auth: 'people',
    tag,
    summary: 'What was done, by whom and why, the newest first',
    description:
      'Entries are written in the transaction of the change that they tell of, and PostgreSQL refuses to change or delete them. Where there are more, the header X-Next-Cursor is the "before" of the next page.',
    query: ListAudit,
    status: 200,
    response: z.array(AuditLog),
    handle: async ({ query, res }, deps) => {
      const { page, next } = await listAudit(deps.db, query);
      if (next !== null) res.set('X-Next-Cursor', next);
      return page;
    },
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/audit/export',
    auth: 'people',
    tag,
    summary: 'Every entry that matches as a file, the oldest first',
    description:
      'jsonl has one entry a line. In csv, a cell that a spreadsheet would run as a formula begins with an apostrophe.',
    query: ExportAudit,
    status: 200,
    content: 'application/jsonl',
    handle: async ({ query, res }, deps) => await exportAudit(deps, query, res),
  }),
  defineRoute({
    method: 'get',
    path: '/api/runtime/audit/proof',
    auth: 'people',
    tag,
    summary: 'Check that nobody changed or removed an entry',
    description:
      'Each entry is chained to the one before by a hash, and the server signs the end of the chain. Keep entries and hash of an answer in a safe place; given later as position and hash, they prove that the newest entries were not taken away.',
    query: ProveAudit,
    status: 200,
    response: AuditProof,
    perMinute: 60,
    handle: async ({ query }, deps) => await proveAudit(deps, query),
  }),
];
