import { Chip } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { ProposalStatus, type Proposal } from '../../../../contract/projects/proposals.ts';
import { projectsQuery } from '../../api/project-queries.ts';
import { proposalsQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { LoadMore } from '../../components/LoadMore.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { Table } from '../../components/Table.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { PROPOSAL_STATUSES } from '../../format/task-words.ts';
import { RuntimeNav } from '../runtime/RuntimeNav.tsx';
import { TimeLeft } from './TimeLeft.tsx';
import styles from './Proposals.module.css';

const COLUMNS = [
  { name: 'Proposal' },
  { name: 'Status' },
  { name: 'Project' },
  { name: 'From' },
  { name: 'Created' },
  { name: 'Decide' },
] as const;

/** The changes that tasks propose in projects, for a person to decide. */
export function ProposalsPage() {
  usePageTitle('Proposals');
  const { status } = useSearch({ from: '/shell/runtime/proposals' });
  const navigate = useNavigate({ from: '/runtime/proposals' });
  const list = useInfiniteQuery(proposalsQuery(status));
  const projects = useQuery(projectsQuery).data ?? [];
  const nameOf = (id: string): string => projects.find((project) => project.id === id)?.name ?? id;
  const proposals = list.data?.pages.flatMap(({ rows }) => rows) ?? [];
  return (
    <div className="page" data-testid="page-proposals">
      <RuntimeNav />
      <PageHead
        title="Proposals"
        note="Changes that tasks propose in projects. Nothing is written until a person approves it."
      />
      <Panel
        title={status === undefined ? 'All proposals' : `${PROPOSAL_STATUSES[status].label} proposals`}
        testId="proposals-panel"
        flush
        actions={
          <div className={styles.chips} role="group" aria-label="Show proposals that are">
            {ProposalStatus.options.map((each) => (
              <Chip
                key={each}
                size="xs"
                variant="light"
                checked={each === status}
                onChange={(on) => void navigate({ search: { status: on ? each : undefined } })}
                data-testid={`proposal-filter-${each}`}
              >
                {PROPOSAL_STATUSES[each].label}
              </Chip>
            ))}
          </div>
        }
      >
        {list.isPending && <Loading what="the proposals" />}
        {list.data === undefined && list.error !== null && (
          <Failure what="The proposals" error={list.error} retry={list.refetch} />
        )}
        {list.data !== undefined && proposals.length === 0 && (
          <Empty
            title={status === undefined ? 'No proposal yet' : 'No proposal matches'}
            testId="proposals-empty"
          >
            {status === undefined
              ? 'A task that makes “A proposal” answers with a change to a project. It waits here for your decision.'
              : `None is ${PROPOSAL_STATUSES[status].label.toLowerCase()}.`}
          </Empty>
        )}
        {proposals.length > 0 && (
          <Table label="Proposals" columns={COLUMNS} testId="proposals-table">
            {proposals.map((proposal) => (
              <Row key={proposal.id} proposal={proposal} project={nameOf(proposal.project_id)} />
            ))}
          </Table>
        )}
        <LoadMore list={list} what="proposals" testId="proposals-more" />
      </Panel>
    </div>
  );
}

function Row({ proposal, project }: { proposal: Proposal; project: string }) {
  const { id, status } = proposal;
  const { label, tone } = PROPOSAL_STATUSES[status];
  return (
    <tr data-testid={`proposal-row-${id}`}>
      <td className={styles.title}>
        <Link
          to="/runtime/proposals/$proposalId"
          params={{ proposalId: id }}
          className={styles.name}
          data-testid={`proposal-open-${id}`}
        >
          {proposal.title}
        </Link>
        <span className="second-line">
          {proposal.kind === 'patch' ? 'a patch' : `the file ${proposal.path ?? ''}`}
        </span>
      </td>
      <td>
        <Status tone={tone} testId={`proposal-status-${id}`}>
          {label}
        </Status>
      </td>
      <td className={styles.short}>{project}</td>
      <td className={styles.short}>
        {proposal.agent_slug}
        <span className="second-line">on {proposal.worker_id}</span>
      </td>
      <td>
        <Ago at={proposal.created_at} />
      </td>
      <td className={styles.short}>
        {status === 'pending' ? <TimeLeft at={proposal.expires_at} /> : <span className="dim">–</span>}
      </td>
    </tr>
  );
}
