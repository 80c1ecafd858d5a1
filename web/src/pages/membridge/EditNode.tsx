import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { PutNodeSettings } from '../../../../contract/http/api.ts';
import type { Space, SpaceFacts } from '../../../../contract/memory/memory.ts';
import { api } from '../../api/calls.ts';
import { enrolledNodesQuery, spaceQuery } from '../../api/queries.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { Failure, Loading } from '../../components/Notice.tsx';
import { Dialog } from '../../components/Dialog.tsx';
import { compareNames } from '../../format/order.ts';
import { AllowHeldBack } from './AllowHeldBack.tsx';
import { NamesField, toNames, toPairs } from './NamesField.tsx';
import styles from './Settings.module.css';
import { TrustField } from './TrustField.tsx';
import { useSaveSpace } from './use-save-space.ts';

/** The dialog for one node's own settings in a space: its trust in other nodes, and its names of projects. */
export function EditNode(props: { space: SpaceFacts; node: string; onClose: () => void }) {
  const { node } = props;
  const space = useQuery(spaceQuery(props.space.canonical_id));
  return (
    <Dialog
      title={`${node} in ${props.space.name}`}
      testId="node-settings-dialog"
      size="lg"
      onClose={props.onClose}
    >
      {space.isPending && <Loading what="the settings" />}
      {space.data === undefined && space.error !== null && (
        <Failure what="The settings" error={space.error} retry={space.refetch} />
      )}
      {space.data !== undefined && <NodeForm space={space.data} node={node} onClose={props.onClose} />}
    </Dialog>
  );
}

function NodeForm(props: { space: Space; node: string; onClose: () => void }) {
  const { space, node } = props;
  const fleet = useQuery(enrolledNodesQuery);
  const before = space.settings.find(({ node_id }) => node_id === node);
  const [trust, setTrust] = useState(before?.trust ?? {});
  const [pairs, setPairs] = useState(() => toPairs(before?.names ?? {}));
  const save = useSaveSpace(space, {
    save: (settings: PutNodeSettings) => api.putNodeSettings(space.canonical_id, node, settings),
    done: `Settings of ${node} were saved`,
    after: props.onClose,
  });
  // Removed nodes too: their memories are still there.
  const known = [...space.nodes.map(({ node_id }) => node_id), ...(fleet.data ?? []).map(({ id }) => id)];
  const peers = [...new Set([...known, ...Object.keys(trust)])]
    .filter((id) => id !== node)
    .sort(compareNames);
  const { names, problem } = toNames(pairs);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const told = Object.entries(trust).filter(([, level]) => level !== 'accept');
    if (problem === null) save.mutate({ names, trust: Object.fromEntries(told) });
  };

  return (
    <form className={styles.form} onSubmit={submit}>
      <TrustField peers={peers} trust={trust} onChange={setTrust} />
      <NamesField node={node} pairs={pairs} problem={problem} onChange={setPairs} />
      <AllowHeldBack space={space} node={node} />
      <FormFooter
        prefix="edit-node"
        error={save.error}
        onCancel={props.onClose}
        submit={{ label: 'Save', id: 'save', isPending: save.isPending, disabled: problem !== null }}
      />
    </form>
  );
}
