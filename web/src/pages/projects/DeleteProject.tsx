import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { projectApi } from '../../api/project-calls.ts';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { counted } from '../../format/numbers.ts';
import { useProjectsCache } from './use-projects-cache.ts';

/** Asks before a project is deleted, and says what is deleted and what stays. */
export function DeleteProject(props: { project: ProjectSummary; opened: boolean; onClose: () => void }) {
  const { project } = props;
  const navigate = useNavigate();
  const cache = useProjectsCache();
  const remove = useMutation({
    mutationFn: () => projectApi.remove(project.id),
    onSuccess: async () => {
      await navigate({ to: '/membridge/projects' });
      cache.forget(project.id);
      notifyDone(`${project.name} was deleted`);
    },
    onError: (error) => {
      notifyFailure(`${project.name} was not deleted`, error);
      props.onClose();
    },
  });
  const clones = project.clones.present;
  const busy = project.clones.pending + project.clones.cloning;
  return (
    <ConfirmDialog
      opened={props.opened}
      title={`Delete ${project.name}?`}
      confirm={`Delete ${project.name}`}
      busy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onCancel={props.onClose}
    >
      {clones === 0
        ? 'No node has a clone of it.'
        : `The clones on ${counted(clones, 'node')} stay where they are, with everything in them. Membridge just stops updating them.`}{' '}
      {busy > 0 && `Running work on ${counted(busy, 'node')} is cancelled. `}
      Its settings, its schedules and its credential are deleted. Its memory space stays.
    </ConfirmDialog>
  );
}
