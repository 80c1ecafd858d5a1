import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';
import { nodesQuery, spacesQuery } from '../../api/queries.ts';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { compareNames } from '../../format/order.ts';
import { MembridgeNav } from './MembridgeNav.tsx';
import styles from './MembridgePage.module.css';
import { NewSpace } from './NewSpace.tsx';
import { ReportedProjects } from './ReportedProjects.tsx';
import { SpaceDetail } from './SpaceDetail.tsx';
import { SpaceList } from './SpaceList.tsx';

/** The spaces, and one of them in full: its nodes, and its syncs. */
export function MembridgePage() {
  usePageTitle('Membridge');
  const spaces = useQuery(spacesQuery);
  const nodes = useQuery(nodesQuery);
  const fleet = nodes.data;
  const { space: asked, node } = useSearch({ from: '/shell/membridge' });
  const navigate = useNavigate({ from: '/membridge' });

  const sorted = (spaces.data ?? []).toSorted((a, b) => compareNames(a.name, b.name));
  const selected =
    asked === undefined
      ? sorted[0]
      : sorted.find((space) => space.canonical_id === asked || space.aliases.includes(asked));

  const selectedId = selected?.canonical_id;
  const showJobsOf = useCallback(
    (id: string | null) =>
      void navigate({ search: { space: selectedId, node: id ?? undefined }, replace: true }),
    [navigate, selectedId],
  );

  return (
    <div className="page" data-testid="page-membridge">
      <h1 className="visually-hidden">Membridge</h1>
      <MembridgeNav />
      <div className={styles.page}>
        <aside className={styles.side} aria-label="Spaces">
          <div className={styles.sideHead}>
            <h2>Spaces</h2>
            <NewSpace onCreated={(space) => void navigate({ search: { space } })} />
          </div>
          <SpaceList spaces={sorted} selected={selected?.canonical_id} />
          <ReportedProjects spaces={sorted} onCreated={(space) => void navigate({ search: { space } })} />
        </aside>
        <div className={styles.detail}>
          {spaces.isPending && <Loading what="the spaces" />}
          {spaces.data === undefined && spaces.error !== null && (
            <Failure what="The spaces" error={spaces.error} retry={spaces.refetch} />
          )}
          {spaces.data?.length === 0 && (
            <Empty title="No space yet" testId="spaces-empty">
              A space is a set of claude-mem projects that every node keeps in step. Press “New space” to
              create one; the project “*” covers everything.
            </Empty>
          )}
          {spaces.data !== undefined && spaces.data.length > 0 && selected === undefined && (
            <Empty title="There is no such space" testId="space-missing">
              It may have been deleted. Choose a space from the list.
            </Empty>
          )}
          {selected !== undefined && fleet === undefined && nodes.error !== null && (
            <Failure what="The nodes" error={nodes.error} retry={nodes.refetch} />
          )}
          {selected !== undefined && (
            <SpaceDetail
              key={selected.canonical_id}
              space={selected}
              fleet={fleet}
              jobNode={node ?? null}
              onJobNode={showJobsOf}
              onSaved={(saved) =>
                void navigate({ search: { space: saved.canonical_id, node }, replace: true })
              }
              onDeleted={() => void navigate({ search: {} })}
            />
          )}
        </div>
      </div>
    </div>
  );
}
