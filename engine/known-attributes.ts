import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ScheduleClientInterceptor,
  WorkflowClient,
  WorkflowClientInterceptor,
} from '@temporalio/client';
import { TypedSearchAttributes, type SearchAttributePair } from '@temporalio/common';

type Attributes = TypedSearchAttributes | SearchAttributePair[];

/** How long an attribute that Temporal does not know is left out before it is tried again, in milliseconds. */
const TRY_AGAIN_MS = 60_000;

/** How Temporal refuses a start with an attribute that the namespace does not have: SQL visibility, then Elasticsearch. */
const UNKNOWN = /no mapping defined for search attribute (\w+)|search attribute (\w+) is not defined/i;

/**
 * Which search attributes a namespace takes. A namespace that is shared with others may have no room for ours, and each frontend of
 * Temporal learns of new attributes only after some seconds. A workflow that cannot be searched for is better than none, so a start that
 * Temporal refuses for an attribute is made without that attribute.
 */
export class KnownAttributes {
  /** Names that Temporal refused, with the time (epoch ms) at which each is tried again. */
  readonly #refused = new Map<string, number>();

  /**
   * Makes a call that takes search attributes, with those that Temporal knows.
   * @param call refused calls must leave nothing behind: it may be made again
   * @throws whatever `call` throws for another reason
   */
  async use<T>(
    wanted: Attributes | undefined,
    call: (known: TypedSearchAttributes) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const known = this.#known(wanted);
      try {
        return await call(known);
      } catch (error) {
        const name = unknownAttribute(error);
        if (name === null || !known.getAll().some(({ key }) => key.name === name)) throw error;
        this.#refused.set(name, Date.now() + TRY_AGAIN_MS);
      }
    }
  }

  #known(wanted: Attributes = []): TypedSearchAttributes {
    const pairs = Array.isArray(wanted) ? wanted : wanted.getAll();
    const now = Date.now();
    return new TypedSearchAttributes(pairs.filter(({ key }) => (this.#refused.get(key.name) ?? 0) <= now));
  }
}

/** Returns the name of the search attribute for which Temporal refused a call, or null when that was not the reason. */
export function unknownAttribute(error: unknown): string | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    const found = UNKNOWN.exec(at.message);
    if (found !== null) return found[1] ?? found[2] ?? null;
  }
  return null;
}

/** Makes the interceptors that start workflows and make schedules with the attributes that Temporal knows. */
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

/** How long Temporal's frontends may take to learn of new attributes, and the pause between two looks, in milliseconds. */
const ACCEPTED_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 250;

/** The workflow with which acceptance is tried; nobody polls its queue. */
const PROBE = { type: 'startProbe', id: 'membridge-start-probe', queue: 'membridge-start-probe' } as const;

/**
 * Waits until Temporal accepts a start with these attributes, by starting a workflow that nobody runs and deleting it again.
 * @param client one without the interceptors that leave attributes out
 * @param report receives why Temporal does not accept it yet, at each look
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
      const handle = await client.start(PROBE.type, {
        workflowId: PROBE.id,
        taskQueue: PROBE.queue,
        typedSearchAttributes: attributes,
        workflowRunTimeout: '1 minute',
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      });
      await client.workflowService.deleteWorkflowExecution({
        namespace: client.options.namespace,
        workflowExecution: { workflowId: PROBE.id, runId: handle.firstExecutionRunId },
      });
      return;
    } catch (error) {
      const name = unknownAttribute(error);
      if (name === null || Date.now() > giveUpAt) throw error;
      report(`Temporal does not know the search attribute ${name} yet`);
      await sleep(LOOK_EVERY_MS);
    }
  }
}
