import { useMutation } from '@tanstack/react-query';
import { IconStethoscope } from '@tabler/icons-react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { api } from '../../api/calls.ts';
import { errorSentence, isSignedOut } from '../../api/problem.ts';
import { ActionButton } from '../../components/ActionButton.tsx';
import { useAbortable } from '../../components/use-abortable.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import styles from './AskNode.module.css';
import { DoctorChecks } from './DoctorChecks.tsx';

/** Asks a node's agent to examine itself, and lists what it found. Closing the drawer cancels the call on the node. */
export function AskNode({ node }: { node: Node }) {
  const now = useNow();
  const abortable = useAbortable();
  const doctor = useMutation({
    mutationFn: async () => {
      const answer = await api.runDoctor(node.id, abortable());
      return { answer, at: Date.now() };
    },
  });
  const refusal = whyNot(node, now);
  const reason = doctor.isPending ? `${node.id} is checking. This takes up to a minute.` : refusal;
  const failed = doctor.error !== null && !isSignedOut(doctor.error);
  return (
    <section aria-label="Ask this node" data-testid="ask-node">
      <h2>Ask this node</h2>
      <p className="dim">
        The doctor checks everything that the sync of this machine depends on. It changes nothing. The audit
        log records that you asked; nobody stores the answer.
      </p>
      <ActionButton
        variant="default"
        size="xs"
        className={styles.button ?? ''}
        leftSection={<IconStethoscope size={15} />}
        reason={reason}
        // With a tooltip at all times the button is never made again, so it keeps the focus.
        help="Ask the agent of this node to examine the machine"
        onPress={() => doctor.mutate()}
        testId="node-doctor"
      >
        {doctor.isPending ? 'Running doctor…' : 'Run doctor'}
      </ActionButton>
      {refusal !== null && (
        <p className="dim" data-testid="ask-node-refusal">
          {refusal}
        </p>
      )}
      <div aria-live="polite">
        {failed && (
          <p className={styles.problem} role="alert" data-testid="ask-node-problem">
            {errorSentence(doctor.error)}
          </p>
        )}
        {doctor.data !== undefined && <DoctorChecks {...doctor.data} />}
      </div>
    </section>
  );
}

/** Returns why a node cannot be asked, and what to do; null when it can. */
function whyNot(node: Node, now: number): string | null {
  if (node.kind === 'original') return 'This machine runs the original’s agent, which answers no calls.';
  if (presenceOf(node, now) === 'online') return null;
  return `${node.id} is offline, so it cannot answer. Start its agent, or run “membridge doctor” on that machine.`;
}
