import { Button, Modal } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { reportedProjectsQuery } from '../../api/queries.ts';
import { api } from '../../api/calls.ts';
import { keys } from '../../api/keys.ts';
import { FormFooter } from '../../components/FormFooter.tsx';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { notifyDone } from '../../components/notify.ts';
import styles from './ReportedProjects.module.css';
import forms from './Settings.module.css';

/** How many are shown; an agent may report any number of them. */
const MAX_SHOWN = 8;

/** Projects that agents reported and that have no space. Nothing of them is synced until a person makes one. */
export function ReportedProjects(props: { spaces: readonly SpaceFacts[]; onCreated: (cid: string) => void }) {
  const { data: all = [] } = useQuery(reportedProjectsQuery);
  const data = all.filter(
    ({ canonical_id: cid }) => !props.spaces.some((space) => space.canonical_id === cid),
  );
  const [asked, setAsked] = useState<string | null>(null);
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: (name: string) => api.createSpace({ name, projects: ['*'] }),
    onSuccess: async (space) => {
      notifyDone(`SpaceFacts ${space.name} was created`);
      setAsked(null);
      await cache.invalidateQueries({ queryKey: keys.reportedProjects });
      props.onCreated(space.canonical_id);
    },
  });
  if (data.length === 0) return null;
  return (
    <section className={styles.reported} data-testid="reported-projects">
      <h3>Reported by machines</h3>
      <p>These projects have no space, so no machine syncs them. Make a space to start.</p>
      <ul>
        {data.slice(0, MAX_SHOWN).map(({ name, canonical_id: cid, nodes_count: count }) => (
          <li key={cid}>
            <span className={styles.name}>{name}</span>
            <span className={styles.from}>{count === 1 ? '1 machine' : `${count} machines`}</span>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => setAsked(name)}
              data-testid={`accept-${cid}`}
            >
              Make a space
            </Button>
          </li>
        ))}
      </ul>
      {data.length > MAX_SHOWN && <p>… and {data.length - MAX_SHOWN} more.</p>}
      <Modal
        opened={asked !== null}
        onClose={() => setAsked(null)}
        title={<strong>Make a space for {asked}</strong>}
        attributes={dialogAttributes('accept-project-dialog')}
      >
        <form
          className={forms.form}
          onSubmit={(event) => {
            event.preventDefault();
            if (asked !== null) create.mutate(asked);
          }}
        >
          <p>
            Every machine of the fleet sends the memories of all its claude-mem projects to this space, and
            receives those of the others. To share less, use “New space” and name the projects.
          </p>
          <FormFooter
            prefix="accept-project"
            error={create.error}
            onCancel={() => setAsked(null)}
            submit={{ label: 'Make the space', id: 'confirm', isPending: create.isPending, disabled: false }}
          />
        </form>
      </Modal>
    </section>
  );
}
