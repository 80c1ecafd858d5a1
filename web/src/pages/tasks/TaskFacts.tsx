import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { PROPOSAL_TYPE } from '../../../../contract/projects/proposals.ts';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { projectsQuery } from '../../api/project-queries.ts';
import { taskProposalsQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Facts, type Fact } from '../../components/Facts.tsx';
import { Panel } from '../../components/Panel.tsx';
import { count } from '../../format/numbers.ts';
import { PROPOSAL_STATUSES, formatUsd } from '../../format/task-words.ts';
import { absoluteTime } from '../../format/time.ts';
import { Tags } from '../projects/Tags.tsx';

const dim = (text: string) => <span className="dim">{text}</span>;

/** The settings of a task, and who made it. */
export function TaskFacts({ task }: { task: Task }) {
  const { policy } = task;
  const facts: Fact[] = [
    { name: 'Agent', value: <code>{task.agent_slug}</code>, testId: 'fact-agent' },
    {
      name: 'Context',
      value: (
        <Link to="/runtime/tasks" search={{ context: task.context_id }} className="link">
          <code>{task.context_id}</code>
        </Link>
      ),
      testId: 'fact-context',
    },
    { name: 'Project', value: <ProjectName id={task.project_id} />, testId: 'fact-project' },
    { name: 'Runs on', value: describePlace(task), testId: 'fact-pool' },
    { name: 'Worker', value: task.worker_id ?? dim('none'), testId: 'fact-worker' },
    { name: 'Priority', value: `${task.priority} of 5`, testId: 'fact-priority' },
    { name: 'Attempts', value: `${task.attempts} of ${task.max_attempts}`, testId: 'fact-attempts' },
    { name: 'Lease', value: `${count(task.lease_ttl_seconds)} s without a heartbeat`, testId: 'fact-ttl' },
    { name: 'Limits', value: describeLimits(policy), testId: 'fact-policy' },
    ...(task.not_before === null
      ? []
      : [{ name: 'Not before', value: absoluteTime(task.not_before), testId: 'fact-not-before' }]),
    ...(task.depends_on.length === 0
      ? []
      : [{ name: 'After', value: <TaskLinks ids={task.depends_on} />, testId: 'fact-depends' }]),
    ...(task.artifact_type === PROPOSAL_TYPE
      ? [{ name: 'Proposal', value: <ProposalLinks task={task} />, testId: 'fact-proposal' }]
      : []),
    { name: 'Tags', value: <Tags tags={task.tags} />, testId: 'fact-tags' },
    ...(task.webhook_url === null
      ? []
      : [{ name: 'Webhook', value: <code>{task.webhook_url}</code>, testId: 'fact-webhook' }]),
    {
      name: 'Created',
      value: (
        <>
          <Ago at={task.created_at} />, by {task.created_by}
          {task.schedule_id !== null && ', on a schedule'}
        </>
      ),
      testId: 'fact-created',
    },
    ...(task.finished_at === null
      ? []
      : [{ name: 'Ended', value: <Ago at={task.finished_at} />, testId: 'fact-ended' }]),
  ];
  return (
    <Panel title="About" testId="task-facts">
      <Facts facts={facts} />
    </Panel>
  );
}

function describePlace({ requested_worker_id: node, pool }: Task): ReactNode {
  if (node !== null) return `only ${node}`;
  return pool === 'default' ? dim('any node') : `nodes with the label ${pool}`;
}

function describeLimits({
  timeout_sec: timeout,
  budget,
  memory_mb: memory,
  output_kb: output,
}: Task['policy']): string {
  return [
    `${count(timeout)} s`,
    budget === 0 ? 'no budget' : formatUsd(budget),
    ...(memory === null ? [] : [`${count(memory)} MiB of memory`]),
    `${count(output)} KiB of output`,
  ].join(', ');
}

function ProjectName({ id }: { id: string | null }) {
  const projects = useQuery({ ...projectsQuery, enabled: id !== null }).data;
  if (id === null) return dim('none');
  const name = projects?.find((project) => project.id === id)?.name;
  if (name === undefined) return <code>{id}</code>;
  return (
    <Link to="/membridge/projects/$project" params={{ project: id }} className="link">
      {name}
    </Link>
  );
}

function TaskLinks({ ids }: { ids: readonly string[] }) {
  return ids.map((id) => (
    <div key={id}>
      <Link to="/runtime/tasks/$taskId" params={{ taskId: id }} className="link">
        <code>{id}</code>
      </Link>
    </div>
  ));
}

function ProposalLinks({ task }: { task: Task }) {
  const { data } = useQuery(taskProposalsQuery(task.id));
  if (data === undefined || data.rows.length === 0) return dim('none yet');
  return data.rows.map(({ id, title, status }) => (
    <div key={id}>
      <Link to="/runtime/proposals/$proposalId" params={{ proposalId: id }} className="link">
        {title}
      </Link>{' '}
      <span className="dim">{PROPOSAL_STATUSES[status].label.toLowerCase()}</span>
    </div>
  ));
}
