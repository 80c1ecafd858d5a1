import type { Node } from '../../../../contract/nodes/nodes.ts';
import { Status } from '../../components/Status.tsx';

/** Where a node's tasks run. In red, with what to do, when nothing isolates them from the rest of the machine. */
export function SandboxFact({ node }: { node: Node }) {
  const { task_sandbox: sandbox, capabilities } = node;
  if (sandbox === null) return 'not reported';
  if (sandbox.mode === 'bubblewrap') return <Status tone="good">bubblewrap</Status>;
  // A dry run, or a node without a program for tasks, needs none.
  if (!capabilities.claude_cli && !sandbox.refuses) return 'none: this node takes no tasks';
  return (
    <>
      <Status tone="bad">None</Status>
      {sandbox.detail !== null && <div>{sandbox.detail}</div>}
    </>
  );
}
