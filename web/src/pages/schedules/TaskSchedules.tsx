import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { IconPlus } from '@tabler/icons-react';
import { taskSchedulesQuery } from '../../api/task-queries.ts';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { compareNames } from '../../format/order.ts';
import { NewSchedule } from './NewSchedule.tsx';
import { ScheduleRow } from './ScheduleRow.tsx';

const COLUMNS = [
  { name: 'Schedule' },
  { name: 'When (UTC)' },
  { name: 'Prompt' },
  { name: 'Last task' },
  { name: 'On' },
  { name: 'Actions', quiet: true },
] as const;

/** The schedules that make tasks. */
export function TaskSchedules() {
  const { data, error, isPending, refetch } = useQuery(taskSchedulesQuery);
  const [opened, { open, close }] = useDisclosure();
  const sorted = data?.toSorted((a, b) => compareNames(a.name, b.name)) ?? [];
  return (
    <Panel
      title="Task schedules"
      note="Repeated tasks"
      flush
      testId="schedules-panel"
      actions={
        data !== undefined && (
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPlus size={14} />}
            onClick={open}
            data-testid="new-schedule-open"
          >
            New schedule
          </Button>
        )
      }
    >
      {isPending && <Loading what="the schedules" />}
      {data === undefined && error !== null && (
        <Failure what="The schedules" error={error} retry={refetch} testId="schedules-failure" />
      )}
      {data?.length === 0 && (
        <Empty title="No schedule yet" testId="schedules-empty">
          A schedule makes the same task at the times of a cron expression. Add one to repeat a task.
        </Empty>
      )}
      {sorted.length > 0 && (
        <Table label="Task schedules" columns={COLUMNS} testId="schedules-table">
          {sorted.map((schedule) => (
            <ScheduleRow key={schedule.id} schedule={schedule} />
          ))}
        </Table>
      )}
      <NewSchedule opened={opened} onClose={close} />
    </Panel>
  );
}
