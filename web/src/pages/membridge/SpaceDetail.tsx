import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { IconRefresh } from '@tabler/icons-react';
import { useMemo } from 'react';
import type { SpaceFacts, SpaceSummary } from '../../../../contract/memory/memory.ts';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { jobsQuery } from '../../api/queries.ts';
import { Copy } from '../../components/Copy.tsx';
import { describeCoverage } from '../../format/words.ts';
import { compareNames } from '../../format/order.ts';
import { LeadershipCard } from '../leadership/LeadershipCard.tsx';
import { DeleteSpace } from './DeleteSpace.tsx';
import { JobHistory } from './JobHistory.tsx';
import { MemberTable } from './MemberTable.tsx';
import styles from './SpaceDetail.module.css';
import { SpaceSettings } from './SpaceSettings.tsx';
import { useRequestSync } from './use-request-sync.ts';

/** One space: its nodes, and its syncs. */
export function SpaceDetail(props: {
  space: SpaceSummary;
  /** Undefined while it is loading. */
  fleet: Node[] | undefined;
  jobNode: string | null;
  onJobNode: (id: string | null) => void;
  onSaved: (saved: SpaceFacts) => void;
  onDeleted: () => void;
}) {
  const { space, fleet } = props;
  const syncAll = useRequestSync(space, null);
  const allJobs = useQuery(jobsQuery(space, null));
  // Heartbeats change the fleet many times a second, but rarely its names. The history redraws only for new names.
  // The jobs name removed nodes.
  const jobNodes = (allJobs.data ?? []).map(({ agent }) => agent);
  const known = new Set([...(fleet ?? []).map(({ id }) => id), ...jobNodes]);
  const joined = [...known].sort(compareNames).join('\n');
  const names = useMemo(() => joined.split('\n').filter(Boolean), [joined]);

  return (
    <>
      <header className={styles.head}>
        <div className={styles.names}>
          <p className={styles.name} role="heading" aria-level={2} data-testid="space-name">
            {space.name}
          </p>
          <div className={styles.facts}>
            <code data-testid="space-cid">{space.canonical_id}</code>
            <Copy text={space.canonical_id} what="the canonical id" testId="space-copy-cid" />
            <span aria-hidden>·</span>
            <span data-testid="space-projects">{describeCoverage(space.projects)}</span>
          </div>
        </div>
        <div className={styles.actions}>
          <Button
            leftSection={<IconRefresh size={15} />}
            loading={syncAll.isPending}
            onClick={() => syncAll.mutate('sync')}
            data-testid="space-sync-all"
          >
            Sync all
          </Button>
          <DeleteSpace space={space} onDeleted={props.onDeleted} />
        </div>
      </header>
      <MemberTable space={space} fleet={fleet} jobs={allJobs.data ?? []} />
      <div className={styles.halves}>
        {fleet !== undefined && <LeadershipCard cid={space.canonical_id} name={space.name} fleet={fleet} />}
        <SpaceSettings space={space} onSaved={props.onSaved} />
      </div>
      <JobHistory space={space} nodes={names} node={props.jobNode} onNode={props.onJobNode} />
    </>
  );
}
