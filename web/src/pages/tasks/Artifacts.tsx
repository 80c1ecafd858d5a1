import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { IconDownload } from '@tabler/icons-react';
import type { Artifact } from '../../../../contract/tasks/artifacts.ts';
import type { Task } from '../../../../contract/tasks/tasks.ts';
import { contentAddress } from '../../api/task-calls.ts';
import { taskArtifactsQuery } from '../../api/task-queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Failure } from '../../components/Notice.tsx';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { bytes } from '../../format/numbers.ts';
import { Tags } from '../projects/Tags.tsx';
import styles from './TaskPage.module.css';

const COLUMNS = [
  { name: 'Artifact' },
  { name: 'Type' },
  { name: 'Size', align: 'end' },
  { name: 'Tags' },
  { name: 'Created' },
  { name: 'Download', quiet: true },
] as const;

/** The files that the task left, for download; nothing while there are none. */
export function Artifacts({ task }: { task: Task }) {
  const { data, error, refetch } = useQuery(taskArtifactsQuery(task.id));
  if (data === undefined) {
    if (error === null) return null;
    return (
      <Panel title="Artifacts" testId="artifacts-panel">
        <Failure what="The artifacts" error={error} retry={refetch} />
      </Panel>
    );
  }
  if (data.length === 0) return null;
  return (
    <Panel title="Artifacts" flush testId="artifacts-panel">
      <Table label="Artifacts" columns={COLUMNS} testId="artifacts-table">
        {data.map((artifact) => (
          <Row key={artifact.id} artifact={artifact} />
        ))}
      </Table>
    </Panel>
  );
}

function Row({ artifact }: { artifact: Artifact }) {
  const { id, name } = artifact;
  return (
    <tr data-testid={`artifact-${name}`}>
      <td className={styles.name}>
        {name}
        <span className="second-line">{artifact.media_type.split(';')[0]}</span>
      </td>
      <td className={styles.short}>
        <code>{artifact.type}</code>
      </td>
      <td data-align="end" className={styles.short} data-testid={`artifact-size-${name}`}>
        {bytes(artifact.bytes)}
      </td>
      <td>
        <Tags tags={artifact.tags} />
      </td>
      <td>
        <Ago at={artifact.created_at} />
      </td>
      <td data-align="end">
        {artifact.url === null ? (
          <span className="dim">no longer kept</span>
        ) : (
          <Button
            component="a"
            href={contentAddress(id)}
            download
            variant="default"
            size="compact-sm"
            leftSection={<IconDownload size={14} />}
            aria-label={`Download ${name}`}
            data-testid={`artifact-download-${name}`}
          >
            Download
          </Button>
        )}
      </td>
    </tr>
  );
}
