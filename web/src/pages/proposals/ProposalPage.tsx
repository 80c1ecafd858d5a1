import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { ShownProposal } from '../../../../contract/projects/proposals.ts';
import { ApiProblem } from '../../api/problem.ts';
import { projectsQuery } from '../../api/project-queries.ts';
import { proposalQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Copy } from '../../components/Copy.tsx';
import { Facts, type Fact } from '../../components/Facts.tsx';
import { DetailHead } from '../../components/DetailHead.tsx';
import { History } from '../../components/History.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Status } from '../../components/Status.tsx';
import { VisibleText } from '../../components/VisibleText.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { shortCommit } from '../../format/project-words.ts';
import { PROPOSAL_STATUSES, capitalizeFirst } from '../../format/task-words.ts';
import { RuntimeNav } from '../runtime/RuntimeNav.tsx';
import { Decide } from './Decide.tsx';
import { Diff } from './Diff.tsx';
import styles from './Proposals.module.css';
import { TimeLeft } from './TimeLeft.tsx';

/** One proposal: the changes that it would make, and the decision. */
export function ProposalPage() {
  const { proposalId } = useParams({ from: '/shell/runtime/proposals/$proposalId' });
  const { data: proposal, error, isPending, refetch } = useQuery(proposalQuery(proposalId));
  usePageTitle(proposal?.title ?? 'Proposal');
  const missing = error instanceof ApiProblem && error.status === 404;
  return (
    <div className="page" data-testid="page-proposal">
      <RuntimeNav />
      {isPending && <Loading what="the proposal" />}
      {proposal === undefined && missing && (
        <Empty title="There is no such proposal" testId="proposal-missing">
          No proposal has the id {proposalId}. “Proposals” above lists all proposals.
        </Empty>
      )}
      {proposal === undefined && error !== null && !missing && (
        <Failure what="The proposal" error={error} retry={refetch} />
      )}
      {proposal !== undefined && <Detail key={proposalId} proposal={proposal} />}
    </div>
  );
}

function Detail({ proposal }: { proposal: ShownProposal }) {
  const { label, tone } = PROPOSAL_STATUSES[proposal.status];
  const { diff } = proposal;
  return (
    <>
      <DetailHead
        title={
          <>
            <h1 data-testid="proposal-title">
              <VisibleText>{proposal.title}</VisibleText>
            </h1>
            <Status tone={tone} testId="proposal-status">
              {label}
            </Status>
            <History url={proposal.history_url} of="this proposal" testId="proposal-history" />
          </>
        }
        actions={<Decide proposal={proposal} />}
      >
        {proposal.detail !== '' && (
          <p
            className={`${styles.detail} ${proposal.status === 'failed' ? styles.bad : 'dim'}`}
            data-testid="proposal-detail"
          >
            {capitalizeFirst(proposal.detail)}{' '}
            {proposal.error_code !== null && <code>{proposal.error_code}</code>}
          </p>
        )}
      </DetailHead>
      <div className={styles.halves}>
        <Panel
          title="Changes"
          testId="changes-panel"
          actions={
            proposal.content !== null && (
              <Copy
                text={proposal.content}
                what={proposal.kind === 'patch' ? 'the patch' : 'the text of the file'}
                testId="proposal-copy"
              />
            )
          }
        >
          {diff === null || proposal.preview === null ? (
            <NoDiff proposal={proposal} />
          ) : (
            <Diff text={diff} files={proposal.preview.files} />
          )}
        </Panel>
        <Panel title="About" testId="proposal-facts">
          <ProposalFacts proposal={proposal} />
        </Panel>
      </div>
    </>
  );
}

/** Explains why there is no diff, and shows the worker's own text instead, which may differ from git's result. */
function NoDiff({ proposal }: { proposal: ShownProposal }) {
  const { content, preview } = proposal;
  if (content === null)
    return (
      <p className="dim" data-testid="proposal-gone">
        The store no longer has its content.
      </p>
    );
  const why =
    preview === null
      ? 'No node has made a diff.'
      : preview.state === 'making'
        ? 'A node is making the diff …'
        : `The diff failed: ${preview.detail}`;
  return (
    <>
      <p className={preview?.state === 'failed' ? styles.bad : 'dim'} data-testid="proposal-no-diff">
        {why}
      </p>
      <p className="dim">This is the worker’s text. The result in git may differ.</p>
      <pre className={styles.worker} data-testid="proposal-text">
        <VisibleText>{content.slice(0, 100_000)}</VisibleText>
      </pre>
    </>
  );
}

function ProposalFacts({ proposal }: { proposal: ShownProposal }) {
  const projects = useQuery(projectsQuery).data;
  const project = projects?.find(({ id }) => id === proposal.project_id);
  const { expected_version: expected, commit, node_id: node, decided_by: by } = proposal;
  const facts: Fact[] = [
    {
      name: 'Project',
      value:
        project === undefined ? (
          <code>{proposal.project_id}</code>
        ) : (
          <Link to="/membridge/projects/$project" params={{ project: project.id }} className="link">
            {project.name}
          </Link>
        ),
      testId: 'proposal-project',
    },
    {
      name: 'Task',
      value: (
        <Link to="/runtime/tasks/$taskId" params={{ taskId: proposal.task_id }} className="link">
          <code data-testid="proposal-task">{proposal.task_id}</code>
        </Link>
      ),
    },
    { name: 'Agent', value: `${proposal.agent_slug}, on ${proposal.worker_id}` },
    {
      name: 'Kind',
      value:
        proposal.kind === 'patch' ? 'a patch' : <>the whole new text of {<code>{proposal.path}</code>}</>,
    },
    {
      name: 'Expects',
      value:
        expected === null ? (
          <span className="dim">any commit</span>
        ) : (
          <>
            the branch at <code title={expected}>{shortCommit(expected)}</code>
          </>
        ),
      testId: 'proposal-expected',
    },
    { name: 'Created', value: <Ago at={proposal.created_at} /> },
    ...(proposal.status === 'pending'
      ? [
          {
            name: 'To be decided',
            value: <TimeLeft at={proposal.expires_at} testId="proposal-expires" />,
          },
        ]
      : []),
    ...(by === null
      ? []
      : [
          {
            name: 'Decided',
            value: (
              <>
                <Ago at={proposal.decided_at} />, by {by}
              </>
            ),
            testId: 'proposal-decided',
          },
        ]),
    ...(commit === null
      ? []
      : [
          {
            name: 'Commit',
            value: (
              <>
                <code title={commit}>{shortCommit(commit)}</code>
                <Copy text={commit} what="the commit" testId="proposal-copy-commit" />
              </>
            ),
            testId: 'proposal-commit',
          },
        ]),
    ...(node === null ? [] : [{ name: 'Applied on', value: node, testId: 'proposal-node' }]),
  ];
  return <Facts facts={facts} />;
}
