import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { IconArrowDown, IconArrowUp, IconRefresh } from '@tabler/icons-react';
import type { SpaceFacts, SpaceNode } from '../../../../contract/memory/memory.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import type { SyncAction } from '../../../../contract/http/primitives.ts';
import { membersQuery } from '../../api/queries.ts';
import { projectApi } from '../../api/project-calls.ts';
import { ActionButton } from '../../components/ActionButton.tsx';
import { Ago } from '../../components/Ago.tsx';
import { Facts } from '../../components/Facts.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { ACTIONS, SPACE_NODE_STATUSES } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import styles from './ProjectPage.module.css';

const BUTTONS = [
  { direction: 'push', icon: IconArrowUp, all: false, words: 'Push memory' },
  { direction: 'pull', icon: IconArrowDown, all: false, words: 'Pull memory' },
  { direction: 'sync', icon: IconRefresh, all: false, words: 'Sync memory' },
  { direction: 'sync', icon: IconRefresh, all: true, words: 'Sync on all nodes' },
] as const satisfies readonly { direction: SyncAction; icon: unknown; all: boolean; words: string }[];

/** The memory of a project: its state on the primary node, and buttons to sync it now. */
export function ProjectMemory(props: {
  project: ProjectSummary;
  /** Null when it has none. */
  space: SpaceFacts | null;
  fleet: readonly Node[];
}) {
  const { project, space, fleet } = props;
  const now = useNow();
  const primary = project.primary_node_id;
  const node = fleet.find(({ id }) => id === primary);
  const members = useQuery({
    ...membersQuery(space?.canonical_id ?? '', { node: primary ?? '', limit: 1 }),
    enabled: space !== null && primary !== null,
  });
  const known = members.data?.rows[0]?.record;
  const record = known === undefined || isBlank(known) ? undefined : known;
  const someone = fleet.some((each) => presenceOf(each, now) === 'online');
  const ask = useMutation({
    mutationFn: (what: { direction: SyncAction; all: boolean }) => projectApi.syncMemory(project.id, what),
    onSuccess: (_answer, { direction, all }) =>
      notifyDone(
        `${ACTIONS[direction]} requested on ${all ? 'every online node' : (primary ?? '')}`,
        `The history of ${space?.name ?? 'its space'} shows the result.`,
      ),
    onError: (error, { direction }) =>
      notifyFailure(`${ACTIONS[direction]} of the memory was not started`, error),
  });

  const why = (all: boolean): string | null => {
    if (space === null) return 'It has no memory space';
    if (all) return someone ? null : 'No node is online';
    if (primary === null) return 'It has no primary node: choose one under Edit';
    return node === undefined ? `${primary} is no longer enrolled: choose another primary under Edit` : null;
  };
  return (
    <Panel title="Memory" testId="project-memory">
      {space === null ? (
        <p className="dim" data-testid="project-memory-none">
          {project.space === null
            ? `It has no memory space. Choose one under Edit, or create one named ${project.name}.`
            : 'Its memory space was deleted. Choose another one under Edit.'}
        </p>
      ) : (
        <Facts
          facts={[
            {
              name: 'Space',
              value: (
                <Link to="/membridge" search={{ space: space.canonical_id }} className="link">
                  {space.name}
                </Link>
              ),
              testId: 'project-memory-space',
            },
            {
              name: primary === null ? 'Primary node' : `On ${primary}`,
              value:
                record === undefined ? (
                  <span className="dim">not synced yet</span>
                ) : (
                  <Status tone={SPACE_NODE_STATUSES[record.status].tone} testId="project-memory-status">
                    {SPACE_NODE_STATUSES[record.status].label}
                  </Status>
                ),
            },
            {
              name: 'Last push',
              value: <Ago at={record?.last_push_at ?? null} testId="project-memory-pushed" />,
            },
            {
              name: 'Last pull',
              value: <Ago at={record?.last_pull_at ?? null} testId="project-memory-pulled" />,
            },
          ]}
        />
      )}
      <div className={styles.buttons}>
        {BUTTONS.map(({ direction, icon: Icon, all, words }) => (
          <ActionButton
            key={words}
            variant="default"
            size="xs"
            leftSection={<Icon size={14} />}
            reason={why(all)}
            help={
              all
                ? 'On every online node'
                : node !== undefined && presenceOf(node, now) === 'online'
                  ? `On ${primary ?? ''}`
                  : `Runs when ${primary ?? ''} returns`
            }
            loading={ask.isPending && ask.variables.direction === direction && ask.variables.all === all}
            onPress={() => ask.mutate({ direction, all })}
            testId={`project-memory-${direction}${all ? '-all' : ''}`}
          >
            {words}
          </ActionButton>
        ))}
      </div>
    </Panel>
  );
}

/** Returns whether the node has done nothing in the space yet. */
const isBlank = (record: SpaceNode): boolean =>
  record.round?.status === 'new' && record.last_push_at === null && record.last_pull_at === null;
