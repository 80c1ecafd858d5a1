import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ScheduleClientInterceptor,
  WorkflowClient,
  WorkflowClientInterceptor,
} from '@temporalio/client';
import { TypedSearchAttributes, type SearchAttributePair } from '@temporalio/common';

type Attributes = TypedSearchAttributes | SearchAttributePair[];

/** How long an attribute unknown to Temporal is left out before the next try, in milliseconds. */
const RETRY_UNKNOWN_MS = 60_000;

/**
 * Temporal's errors for a start with an attribute that the namespace lacks: SQL visibility, then
 * Elasticsearch.
 */
const UNKNOWN_ATTRIBUTE =
  /no mapping defined for search attribute (\w+)|search attribute (\w+) is not defined/i;

/**
 * Tracks which search attributes a namespace accepts. A namespace used by other applications may have no room
 * for ours, and each Temporal frontend learns of new attributes only after some seconds. A workflow without
 * search attributes is better than none, so a start that Temporal refuses because of an attribute is repeated
 * without it.
 */
export class KnownAttributes {
  /** Refused names, with the time (epoch milliseconds) of the next try. */
  readonly #refused = new Map<string, number>();

  /**
   * Makes a call with the search attributes that Temporal knows.
   * @param call a refused call must leave nothing behind, because it may be repeated
   * @throws any other error of `call`
   */
  async use<T>(
    wanted: Attributes | undefined,
    call: (known: TypedSearchAttributes) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const known = this.#withoutRefused(wanted);
      try {
        return await call(known);
      } catch (error) {
        const name = findUnknownAttribute(error);
        if (name === null || !known.getAll().some(({ key }) => key.name === name)) throw error;
        this.#refused.set(name, Date.now() + RETRY_UNKNOWN_MS);
      }
    }
  }

  #withoutRefused(wanted: Attributes = []): TypedSearchAttributes {
    const pairs = Array.isArray(wanted) ? wanted : wanted.getAll();
    const now = Date.now();
    return new TypedSearchAttributes(pairs.filter(({ key }) => (this.#refused.get(key.name) ?? 0) <= now));
  }
}

/** Returns the name of the search attribute for which Temporal refused a call, or null when that was not the reason. */
export function findUnknownAttribute(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const found = UNKNOWN_ATTRIBUTE.exec(at.message);
    if (found !== null) return found[1] ?? found[2] ?? null;
  }
  return null;
}

/** Returns interceptors that start workflows and create schedules with the attributes that Temporal knows. */
export function attributeInterceptors(attributes: KnownAttributes): {
  workflow: WorkflowClientInterceptor[];
  schedule: ScheduleClientInterceptor[];
} {
  return {
    workflow: [
      {
        startWithDetails: (input, next) =>
          attributes.use(input.options.typedSearchAttributes, (typedSearchAttributes) =>
            next({ ...input, options: { ...input.options, typedSearchAttributes } }),
          ),
        signalWithStart: (input, next) =>
          attributes.use(input.options.typedSearchAttributes, (typedSearchAttributes) =>
            next({ ...input, options: { ...input.options, typedSearchAttributes } }),
          ),
        startUpdateWithStart: (input, next) =>
          attributes.use(input.workflowStartOptions.typedSearchAttributes, (typedSearchAttributes) =>
            next({
              ...input,
              workflowStartOptions: { ...input.workflowStartOptions, typedSearchAttributes },
            }),
          ),
      },
    ],
    schedule: [
      {
        create: (input, next) => {
          const { action } = input.options;
          return attributes.use(action.typedSearchAttributes, (typedSearchAttributes) =>
            next({ ...input, options: { ...input.options, action: { ...action, typedSearchAttributes } } }),
          );
        },
      },
    ],
  };
}

/**
 * How long Temporal's frontends may take to learn of new attributes, and the pause between two checks, in
 * milliseconds.
 */
const ACCEPTED_WITHIN_MS = 60_000;
const PROBE_EVERY_MS = 250;

/** The workflow that probes for acceptance; no worker polls its queue. */
const PROBE_WORKFLOW = {
  type: 'startProbe',
  id: 'membridge-start-probe',
  queue: 'membridge-start-probe',
} as const;

/**
 * Waits until Temporal accepts a start with these attributes. Probes by starting a workflow that no worker
 * runs, and deletes it.
 * @param client one without the interceptors that leave attributes out
 * @param report receives, at each check, why Temporal does not accept it yet
 * @throws the refusal when it lasts longer than a minute; other errors of Temporal at once
 */
export async function waitUntilAccepted(
  client: WorkflowClient,
  attributes: TypedSearchAttributes,
  report: (reason: string) => void,
): Promise<void> {
  const giveUpAt = Date.now() + ACCEPTED_WITHIN_MS;
  for (;;) {
    try {
      const handle = await client.start(PROBE_WORKFLOW.type, {
        workflowId: PROBE_WORKFLOW.id,
        taskQueue: PROBE_WORKFLOW.queue,
        typedSearchAttributes: attributes,
        workflowRunTimeout: '1 minute',
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      });
      await client.workflowService.deleteWorkflowExecution({
        namespace: client.options.namespace,
        workflowExecution: { workflowId: PROBE_WORKFLOW.id, runId: handle.firstExecutionRunId },
      });
      return;
    } catch (error) {
      const name = findUnknownAttribute(error);
      if (name === null || Date.now() > giveUpAt) throw error;
      report(`Temporal does not know the search attribute ${name} yet`);
      await sleep(PROBE_EVERY_MS);
    }
  }
}
