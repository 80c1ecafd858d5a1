import { Select } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { Leadership } from '../../../../contract/memory/leadership.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { keys } from '../../api/keys.ts';
import { findFieldProblem, withoutShownFields } from '../../api/problem.ts';
import { projectApi } from '../../api/project-calls.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { FormFooter } from '../../components/FormFooter.tsx';
import { notifyDone } from '../../components/notify.ts';
import { useFormError } from '../../components/use-form-error.ts';
import { compareNames } from '../../format/order.ts';
import { serverNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import styles from './Leadership.module.css';
import { isExpired, LEASES } from './lease.ts';

/** Makes a node the primary of a space; explains the effect first. */
export function Promote(props: {
  leadership: Leadership;
  name: string;
  fleet: readonly Node[];
  onClose: () => void;
}) {
  const { leadership, name, fleet, onClose } = props;
  const { canonical_id: cid, primary_node_id: present } = leadership;
  const choices = choicesOf(fleet, present);
  // Suggests another node that is online, otherwise any other node.
  const others = choices.filter(({ value }) => value !== present);
  const [node, setNode] = useState((others.find(({ online }) => online) ?? others[0])?.value ?? present);
  const [lease, setLease] = useState<string>(
    LEASES.find(({ value }) => Number(value) === leadership.lease_seconds)?.value ?? '3600',
  );
  const cache = useQueryClient();
  const select = useMutation({
    mutationFn: (primary: string) =>
      projectApi.selectPrimary(cid, { primary_node_id: primary, lease_seconds: Number(lease) }),
    onSuccess: async (_answer, primary) => {
      // The live event shows it too, but a page without a connection must not keep showing the former primary.
      await cache.invalidateQueries({ queryKey: keys.leadership(cid) });
      notifyDone(`${primary} is primary of ${name}`);
      onClose();
    },
  });
  const values = { primary_node_id: node, lease_seconds: lease };
  const { form, error } = useFormError(select.error, values);
  const away = fleet.some(
    ({ id, last_heartbeat }) => id === node && presenceOf({ last_heartbeat }, serverNow()) !== 'online',
  );

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (node !== null) select.mutate(node);
  };
  return (
    <Dialog title={`Primary of ${name}`} testId="promote-dialog" onClose={onClose}>
      <form ref={form} className={styles.form} onSubmit={submit}>
        <Select
          label="Node"
          data={choices.map(({ value, label }) => ({ value, label }))}
          value={node}
          onChange={setNode}
          error={findFieldProblem(error, 'primary_node_id')}
          allowDeselect={false}
          searchable={choices.length > 12}
          limit={100}
          data-autofocus
          data-testid="promote-node"
        />
        <Select
          label="Lease"
          description="The node renews it. After this long without a renewal, there is no primary."
          data={[...LEASES]}
          value={lease}
          onChange={(value) => setLease(value ?? '3600')}
          error={findFieldProblem(error, 'lease_seconds')}
          allowDeselect={false}
          data-testid="promote-lease"
        />
        {node !== null && (
          <p className="dim" data-testid="promote-consequence">
            {describeConsequence(leadership, node)}
            {away && ` ${node} is offline: its lease expires unless it returns.`}
          </p>
        )}
        <FormFooter
          prefix="promote"
          error={withoutShownFields(error, ['primary_node_id', 'lease_seconds'])}
          onCancel={onClose}
          submit={{
            label: node === null ? 'Promote' : `Promote ${node}`,
            id: 'accept',
            isPending: select.isPending,
            disabled: node === null,
          }}
        />
      </form>
    </Dialog>
  );
}

function choicesOf(fleet: readonly Node[], present: string | null) {
  return fleet
    .map((node) => {
      const online = presenceOf(node, serverNow()) === 'online';
      const notes = [...(node.id === present ? ['primary now'] : []), ...(online ? [] : ['offline'])];
      const label = notes.length === 0 ? node.id : `${node.id} (${notes.join(', ')})`;
      return { value: node.id, label, online };
    })
    .sort((a, b) => compareNames(a.value, b.value));
}

function describeConsequence(leadership: Leadership, node: string): string {
  const { primary_node_id: present, epoch } = leadership;
  const active = leadership.status === 'active' && !isExpired(leadership, serverNow());
  if (present === node && active)
    return `${node} is the primary already. This renews its lease for the chosen time.`;
  const next = `The leadership epoch becomes ${epoch + 1}.`;
  if (present === null || !active) return `${node} becomes primary. ${next}`;
  return `${node} replaces ${present} as primary. Later publications of ${present} are refused. ${next} No memory is lost.`;
}
