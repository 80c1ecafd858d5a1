import { once } from 'node:events';
import type { Response } from 'express';
import type { ExportAudit, ExportedAudit } from '../../contract/audit.ts';
import { streamAudit } from '../../db/queries/list-audit.ts';
import type { Deps } from '../deps.ts';
import { sealAudit } from './chain.ts';
import { csvLine } from './csv.ts';

const COLUMNS = [
  'id',
  'timestamp',
  'time',
  'action',
  'entity_type',
  'entity_id',
  'actor',
  'detail',
  'cause',
  'correlation_id',
  'chain_position',
  'chain_hash',
  'chain_signature',
] as const;

const toCsv = (entry: ExportedAudit): string => {
  const told = { ...entry, time: new Date(entry.timestamp).toISOString() };
  return csvLine(COLUMNS.map((column) => told[column] ?? ''));
};
const toJsonLine = (entry: ExportedAudit): string => `${JSON.stringify(entry)}\n`;

/**
 * Sends every matching entry, oldest first, in batches and no faster than the client reads.
 * @throws MembridgeError database_unavailable. In the middle of an export it cuts the connection, so that the client
 * does not take the part for the whole
 */
export async function exportAudit(
  deps: Pick<Deps, 'config' | 'db'>,
  { format, ...filter }: ExportAudit,
  res: Response,
): Promise<void> {
  const isCsv = format === 'csv';
  // Read the first batch before the headers are sent: until then an error can still become the answer.
  await sealAudit(deps, { all: false });
  const batches = streamAudit(deps.db, filter);
  let batch = await batches.next();
  res
    .status(200)
    .type(isCsv ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8')
    .set('Content-Disposition', `attachment; filename="membridge-audit.${format}"`);
  if (isCsv) res.write(csvLine(COLUMNS));
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  while (batch.done !== true && !gone.signal.aborted) {
    const text = batch.value.map(isCsv ? toCsv : toJsonLine).join('');
    if (!res.write(text)) await once(res, 'drain', { signal: gone.signal }).catch(() => undefined);
    batch = await batches.next();
  }
  await batches.return(undefined);
  res.end();
}
