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
    summary: 'List audit entries: what was done, by whom and why, newest first',
    description:
      'Each entry is written in the transaction of the change that it records, and PostgreSQL refuses to change or delete it. When there are more, the header X-Next-Cursor is the "before" of the next page.',
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
    summary: 'Export every matching entry as a file, oldest first',
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
    summary: 'Prove that nobody changed or removed an entry',
    description:
      'A hash chains each entry to the previous one, and the server signs the end of the chain. Keep entries and hash of an answer in a safe place. Sent later as position and hash, they prove that nobody removed the newest entries.',
    query: ProveAudit,
    status: 200,
    response: AuditProof,
    perMinute: 60,
    handle: async ({ query }, deps) => await proveAudit(deps, query),
  }),
];
