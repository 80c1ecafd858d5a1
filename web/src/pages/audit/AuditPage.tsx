import { Button, Menu, Select } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { IconDownload } from '@tabler/icons-react';
import { useMemo } from 'react';
import { exportAddress } from '../../api/task-calls.ts';
import { auditQuery } from '../../api/task-queries.ts';
import { LoadMore } from '../../components/LoadMore.tsx';
import { Empty, Failure, Loading } from '../../components/Notice.tsx';
import { PageHead } from '../../components/PageHead.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { TextFilter } from '../../components/TextFilter.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { ENTITIES } from '../../format/task-words.ts';
import { RuntimeNav } from '../runtime/RuntimeNav.tsx';
import styles from './Audit.module.css';
import { AuditCheck } from './AuditCheck.tsx';
import { AuditRow } from './AuditRow.tsx';
import { auditFilterOf, type AuditSearch } from './audit-filter.ts';

const COLUMNS = [
  { name: 'When' },
  { name: 'What' },
  { name: 'Of' },
  { name: 'Who' },
  { name: 'Detail' },
  { name: 'Belongs to' },
] as const;
const NO_FILTER: AuditSearch = {
  action: undefined,
  entity: undefined,
  id: undefined,
  actor: undefined,
  correlation: undefined,
};
const KINDS = Object.entries(ENTITIES).map(([value, label]) => ({ value, label }));

/** The audit log: what was done, by whom and why. It can be filtered and downloaded. */
export function AuditPage() {
  usePageTitle('Audit log');
  const search = useSearch({ from: '/shell/runtime/audit' });
  const navigate = useNavigate({ from: '/runtime/audit' });
  const change = (part: Partial<AuditSearch>, replace: boolean) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace });
  const filter = useMemo(() => auditFilterOf(search), [search]);
  const list = useInfiniteQuery(auditQuery(filter));
  const entries = list.data?.pages.flatMap(({ rows }) => rows) ?? [];
  const isFiltered = Object.keys(filter).length > 0;
  return (
    <div className="page" data-testid="page-audit">
      <RuntimeNav />
      <PageHead
        title="Audit log"
        note="What was done, by whom and why. PostgreSQL refuses to change or delete entries."
      >
        <AuditCheck />
        <Menu>
          <Menu.Target>
            <Button variant="default" leftSection={<IconDownload size={15} />} data-testid="audit-export">
              Export
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {(['jsonl', 'csv'] as const).map((format) => (
              <Menu.Item
                key={format}
                component="a"
                href={exportAddress(filter, format)}
                download={`audit.${format}`}
                data-testid={`audit-export-${format}`}
              >
                {format === 'csv' ? 'CSV' : 'JSON lines'}
                {isFiltered ? ', matching these filters' : ', all of it'}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      </PageHead>
      <Panel
        title={isFiltered ? 'Matching entries' : 'All entries'}
        testId="audit-panel"
        flush
        actions={
          <Button
            variant="default"
            size="xs"
            loading={list.isRefetching}
            onClick={() => void list.refetch()}
            data-testid="audit-refresh"
          >
            Refresh
          </Button>
        }
      >
        <Filters search={search} onChange={change} />
        {list.isPending && <Loading what="the audit log" />}
        {list.data === undefined && list.error !== null && (
          <Failure what="The audit log" error={list.error} retry={list.refetch} />
        )}
        {list.data !== undefined && entries.length === 0 && (
          <Empty title={isFiltered ? 'Nothing matches these filters' : 'No entry yet'} testId="audit-empty">
            {isFiltered
              ? 'Change or clear a filter above to see entries.'
              : 'Membridge records every change of tasks, nodes, projects and settings here.'}
          </Empty>
        )}
        {entries.length > 0 && (
          <Table label="Audit log" columns={COLUMNS} testId="audit-table">
            {entries.map((entry) => (
              <AuditRow key={entry.id} entry={entry} />
            ))}
          </Table>
        )}
        <LoadMore list={list} what="entries" testId="audit-more" />
      </Panel>
    </div>
  );
}

function Filters(props: {
  search: AuditSearch;
  onChange: (part: Partial<AuditSearch>, replace: boolean) => void;
}) {
  const { search, onChange } = props;
  const text = (field: 'action' | 'id' | 'actor' | 'correlation', label: string, hint: string) => (
    <TextFilter
      label={label}
      seen
      placeholder={hint}
      value={search[field]}
      onChange={(value) => onChange({ [field]: value }, true)}
      maxLength={field === 'action' ? 64 : 256}
      testId={`audit-${field}`}
    />
  );
  return (
    <div className={styles.filters} role="group" aria-label="Filters" data-testid="audit-filters">
      {text('action', 'Action', 'task_created')}
      <Select
        size="xs"
        label="Kind"
        placeholder="any"
        data={KINDS}
        value={search.entity ?? null}
        onChange={(entity) => onChange({ entity: (entity ?? undefined) as AuditSearch['entity'] }, false)}
        clearable
        clearButtonProps={{ 'aria-label': 'Any kind' }}
        data-testid="audit-entity"
      />
      {text('id', 'Id', 'of the task, node, …')}
      {text('actor', 'Who', 'page, api, laptop')}
      {text('correlation', 'Belongs to', 'task_… or a request')}
      {Object.values(search).some((value) => value !== undefined) && (
        <Button
          variant="subtle"
          color="gray"
          size="xs"
          onClick={() => onChange(NO_FILTER, false)}
          data-testid="audit-clear"
        >
          Clear filters
        </Button>
      )}
    </div>
  );
}
