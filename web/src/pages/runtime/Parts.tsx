import type { RuntimeHealth } from '../../../../contract/http/api.ts';
import { Status } from '../../components/Status.tsx';
import { Table } from '../../components/Table.tsx';
import { duration } from '../../format/time.ts';

type Part = RuntimeHealth['parts'][number];

const NAMES: Record<Part['name'], string> = {
  postgresql: 'PostgreSQL',
  temporal: 'Temporal',
  'object-store': 'Object store',
};

const COLUMNS = [
  { name: 'Part' },
  { name: 'State' },
  { name: 'Detail' },
  { name: 'Answered in', align: 'end' },
] as const;

/** The parts that the control plane depends on, each as the last check found it. */
export function Parts({ parts }: { parts: readonly Part[] }) {
  return (
    <Table label="Parts" columns={COLUMNS} testId="parts">
      {parts.map((part) => (
        <tr key={part.name} data-testid={`part-${part.name}`}>
          <td style={{ fontWeight: 500, whiteSpace: 'nowrap' }}>{NAMES[part.name]}</td>
          <td>
            <Status tone={part.ok ? 'good' : 'bad'} testId={`part-${part.name}-state`}>
              {part.ok ? 'Works' : 'Fails'}
            </Status>
          </td>
          <td className="dim" style={{ minWidth: 200 }} data-testid={`part-${part.name}-detail`}>
            {part.detail}
          </td>
          <td data-align="end" style={{ whiteSpace: 'nowrap' }}>
            {duration(part.ms)}
          </td>
        </tr>
      ))}
    </Table>
  );
}
