import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { errorMessage } from '../../contract/errors.ts';
import type {
  DeliverWebhookInput,
  TaskEnd,
  WebhookBody,
  WebhookOutcome,
} from '../../contract/tasks/webhooks.ts';
import type { Database } from '../../db/connect.ts';
import { listResults } from '../../db/queries/find-leases.ts';
import { getTaskRow } from '../../db/queries/find-tasks.ts';
import { recordAudit } from '../../db/queries/record-audit.ts';
import { startDelivery } from '../../engine/webhook-workflows.ts';
import { sendWebhook } from './send-webhook.ts';
import { AddressRefused, explainRefusedWebhook } from './webhook-address.ts';

/** Dependencies of webhooks. */
export interface WebhookAccess {
  /** The value of MEMBRIDGE_WEBHOOK_HOSTS. */
  readonly hosts: readonly string[];
  /** Returns the current signing key. */
  secret(): Promise<string>;
}

/** 4xx status codes that may be temporary. */
const TEMPORARY_STATUSES = new Set([408, 409, 425, 429]);

/**
 * Starts the delivery of a task's end to its webhook; does nothing without one. A repeated call for the same
 * end starts one delivery.
 */
export async function deliverTaskEnd(
  { db, client }: { db: Database; client: Client },
  end: TaskEnd,
): Promise<void> {
  const { taskId, seq, leaseId } = end;
  const row = await getTaskRow(db, { id: taskId });
  if (row === null || row.webhook_url === null) return;
  const results = leaseId === null ? [] : await listResults(db, { task: taskId });
  const deliveryId = `whd_${createHash('sha256').update(`${taskId}:${seq}`).digest('hex').slice(0, 16)}`;
  const body: WebhookBody = {
    type: `task.${end.status}`,
    id: deliveryId,
    created_at: end.at,
    task: {
      id: taskId,
      status: end.status,
      context_id: row.context_id,
      agent_slug: row.agent_slug,
      project_id: row.project_id,
      attempts: end.attempts,
      worker_id: end.worker,
      error_code: end.error?.code ?? null,
      error_message: end.error?.message ?? null,
      artifact_id: results.find(({ lease_id }) => lease_id === leaseId)?.artifact_id ?? null,
      created_at: row.created_at,
      finished_at: end.at,
    },
  };
  await startDelivery(client, { taskId, deliveryId, body: JSON.stringify(body) }, seq);
}

/** Activities of webhooks. All of them may run twice; a receiver recognizes a repeated delivery by its id. */
export function createWebhookActivities({
  db,
  client,
  webhooks,
}: {
  db: Database;
  client: Client;
  webhooks: WebhookAccess;
}) {
  return {
    /** Notifies a task's webhook of its end. */
    async tellEnd(end: TaskEnd): Promise<void> {
      await deliverTaskEnd({ db, client }, end);
    },

    /**
     * Makes one try.
     * @returns a text for people, with the status code
     * @throws ApplicationFailure with the status code; final when another try cannot help
     */
    async postWebhook({ taskId, deliveryId, body }: DeliverWebhookInput): Promise<string> {
      const url = (await getTaskRow(db, { id: taskId }))?.webhook_url ?? '';
      const refusal = explainRefusedWebhook(url, webhooks.hosts);
      if (refusal !== null) throw webhookFailure(refusal, true);
      // Show only the host: the path of many webhook addresses is a secret.
      const { host } = new URL(url);
      const secret = await webhooks.secret();
      let status: number;
      try {
        status = await sendWebhook({ url, deliveryId, body, secret, hosts: webhooks.hosts });
      } catch (error) {
        throw webhookFailure(`${host}: ${errorMessage(error)}`, error instanceof AddressRefused);
      }
      const said = `${host} answered ${status}`;
      if (status >= 200 && status < 300) return said;
      throw webhookFailure(said, status >= 400 && status < 500 && !TEMPORARY_STATUSES.has(status));
    },

    /** Records in the audit log how a delivery ended. */
    async recordWebhook({ taskId, deliveryId, delivered, detail }: WebhookOutcome): Promise<void> {
      await db.transaction((tx) =>
        recordAudit(tx, [
          {
            eventKey: `webhook:${deliveryId}`,
            action: delivered ? 'webhook_delivered' : 'webhook_failed',
            entity_type: 'llm_task',
            entity_id: taskId,
            actor: 'engine',
            detail,
            cause: `the task ended; delivery ${deliveryId}`,
            correlation_id: taskId,
            timestamp: Date.now(),
          },
        ]),
      );
    },
  };
}

const webhookFailure = (message: string, isFinal: boolean): ApplicationFailure =>
  ApplicationFailure.create({ type: 'webhook_failed', message, nonRetryable: isFinal });
