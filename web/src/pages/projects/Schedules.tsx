import { Button, Switch } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { projectApi } from '../../api/project-calls.ts';
import { projectDueQuery } from '../../api/project-queries.ts';
import { notifyFailure } from '../../components/notify.ts';
import { Panel } from '../../components/Panel.tsx';
import { readCron } from '../../format/cron-words.ts';
import { absoluteTime, longSpan } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';
import { EditSchedule } from './EditSchedule.tsx';
import styles from './ProjectPage.module.css';
import { SCHEDULES, type ScheduleKind } from './schedule-kinds.ts';
import { useProjectsCache } from './use-projects-cache.ts';

/** The schedules of a project: syncs of its memory, comparisons and updates of its clones. */
export function Schedules({ project, hasSpace }: { project: ProjectSummary; hasSpace: boolean }) {
  const due = useQuery(projectDueQuery(project)).data;
  return (
    <Panel title="Schedules" note="in UTC" testId="project-schedules">
      <Schedule project={project} kind="memory" dueAt={due?.memory ?? null} hasSpace={hasSpace} />
      <Schedule project={project} kind="fetch" dueAt={due?.fetch ?? null} hasSpace={hasSpace} />
      <Schedule project={project} kind="update" dueAt={due?.update ?? null} hasSpace={hasSpace} />
    </Panel>
  );
}

function Schedule(props: {
  project: ProjectSummary;
  kind: ScheduleKind;
  dueAt: number | null;
  hasSpace: boolean;
}) {
  const { project, kind, dueAt, hasSpace } = props;
  const { title, what, field, first } = SCHEDULES[kind];
  const cron = project[field]?.cron ?? null;
  const [editing, setEditing] = useState(false);
  const cache = useProjectsCache();
  const turn = useMutation({
    mutationFn: (on: boolean) => projectApi.update(project.id, { [field]: on ? { cron: first } : null }),
    onSuccess: cache.show,
    onError: (error) => notifyFailure(`${title} was not changed`, error),
  });
  const reading = cron === null ? null : readCron(cron);
  return (
    <div className={styles.schedule} data-testid={`schedule-${kind}`}>
      <div>
        <Switch
          label={title}
          description={what}
          // As it was just set, until the answer tells how it is.
          checked={turn.isPending ? turn.variables : cron !== null}
          onChange={(event) => turn.mutate(event.currentTarget.checked)}
          data-testid={`schedule-${kind}-on`}
        />
        {kind === 'memory' && cron !== null && !hasSpace && (
          <p className="dim" data-testid="schedule-memory-no-space">
            It does nothing until the project has a memory space.
          </p>
        )}
      </div>
      {reading !== null && (
        <div>
          <span data-testid={`schedule-${kind}-words`}>
            {'words' in reading ? reading.words.replace(' (UTC)', '') : <code>{cron}</code>}
          </span>
          <span className="second-line">
            <Due at={dueAt} testId={`schedule-${kind}-due`} />
          </span>
        </div>
      )}
      {cron !== null && (
        <Button
          variant="default"
          size="xs"
          onClick={() => setEditing(true)}
          aria-label={`Change: ${title}`}
          data-testid={`schedule-${kind}-change`}
        >
          Change
        </Button>
      )}
      {editing && cron !== null && (
        <EditSchedule project={project} kind={kind} cron={cron} onClose={() => setEditing(false)} />
      )}
    </div>
  );
}

function Due({ at, testId }: { at: number | null; testId: string }) {
  const now = useNow();
  if (at === null) return <span data-testid={testId}>next time not known yet</span>;
  const words = at <= now ? 'due now' : `next in ${longSpan(at - now)}`;
  return (
    <time dateTime={new Date(at).toISOString()} title={absoluteTime(at)} data-testid={testId}>
      {words}
    </time>
  );
}
