import proto from '@temporalio/proto';

/** A refused call. */
export interface Refusal {
  readonly node: string;
  /** The name of a known method, such as `StartWorkflowExecution`, or one text for all others. */
  readonly method: string;
  readonly reason: string;
}

const MINUTE_MS = 60_000;
const PATH = /^\/temporal\.api\.workflowservice\.v1\.WorkflowService\/(\w+)$/;

/**
 * Reports each node and method at most once a minute, because a refused node asks again and again.
 * @param report receives the first refusal of a minute
 * @param now epoch ms
 */
export function reportRefusals(
  report: (refusal: Refusal) => void,
  now: () => number,
): (node: string, path: string, reason: string) => void {
  let minute = 0;
  const reported = new Set<string>();
  return (node, path, reason) => {
    const current = Math.floor(now() / MINUTE_MS);
    if (current !== minute) reported.clear();
    minute = current;
    const method = methodName(path);
    const key = `${node} ${method}`;
    if (reported.has(key)) return;
    reported.add(key);
    report({ node, method, reason });
  };
}

/**
 * Returns the name of a path's method. The agent chooses the path, so invented methods share one name: they cannot
 * fill the log.
 */
function methodName(path: string): string {
  const name = PATH.exec(path)?.[1] ?? '';
  return METHODS.has(name) ? name : 'a method of another service';
}

const METHODS: ReadonlySet<string> = new Set(workflowServiceMethods());

/** Returns the names of all methods of Temporal's WorkflowService that this release knows. */
export function workflowServiceMethods(): string[] {
  // The types declare a class with instances; at run time it is protobufjs's own description of the service.
  const service = proto.temporal.api.workflowservice.v1.WorkflowService as unknown as {
    readonly methods: Readonly<Record<string, unknown>>;
  };
  return Object.keys(service.methods);
}
